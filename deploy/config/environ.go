package config

import (
	"fmt"
	"regexp"
	"strings"
)

// prefix begins the name of every variable of ours.
const prefix = "PAIDUI_"

// serviceLink matches the variables that Kubernetes and Docker links put into a container for a service whose name
// begins with paidui.
var serviceLink = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// readEnviron returns the texts of our variables. A variable that looks like one of ours and is none is a mistake.
func readEnviron(environ []string, all []setting) (map[string]string, []Mistake) {
	known := map[string]bool{}
	names := make([]string, len(all))
	for i, s := range all {
		known[s.Variable], names[i] = true, s.Variable
	}
	values := map[string]string{}
	var mistakes []Mistake
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case known[name]:
			values[name] = strings.TrimSpace(value)
		case strings.HasPrefix(strings.ToUpper(name), prefix) && !isServiceLink(name, value):
			mistakes = append(mistakes, Mistake{
				Variable: name,
				Source:   "environment",
				Reason:   "there is no such setting" + suggest(strings.ToUpper(name), names),
			})
		}
	}
	return values, mistakes
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
