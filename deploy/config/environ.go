package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// prefix begins the name of every variable of ours.
const prefix = "PAIDUI_"

// clientURL is where the operator's commands find the API: no setting of a program, but in the shell that starts it, perhaps.
const clientURL = "PAIDUI_URL"

// fromEnvironment is the place of a value that a variable gives.
const fromEnvironment = "environment"

// serviceLink matches the variables that Kubernetes and Docker links put into a container for a service whose name
// begins with paidui.
var serviceLink = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// readEnviron returns our variables. A variable that looks like one of ours and is none is a mistake.
func readEnviron(environ []string, known []name) (source, []Mistake) {
	variables := make([]string, len(known))
	for i, n := range known {
		variables[i] = n.Variable
	}
	src := source{map[string]string{}, map[string]string{}}
	var mistakes []Mistake
	for _, pair := range environ {
		variable, value, _ := strings.Cut(pair, "=")
		switch {
		case slices.Contains(variables, variable):
			src.values[variable], src.places[variable] = strings.TrimSpace(value), fromEnvironment
		case variable == clientURL:
		case strings.HasPrefix(strings.ToUpper(variable), prefix) && !isServiceLink(variable, value):
			mistakes = append(mistakes, Mistake{
				Variable: variable,
				Source:   fromEnvironment,
				Reason:   "there is no such setting" + suggest(strings.ToUpper(variable), variables),
			})
		}
	}
	return src, mistakes
}

func isServiceLink(name, value string) bool {
	return serviceLink.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}

// suggest names the word that is nearest to a misspelled one, unless all are far from it.
func suggest(word string, words []string) string {
	nearest, least := "", len(word)/3+1
	for _, candidate := range words {
		if d := distance(word, candidate); d < least {
			nearest, least = candidate, d
		}
	}
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", nearest)
}

// distance is the Levenshtein distance between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
