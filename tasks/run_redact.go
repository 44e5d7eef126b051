package tasks

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// leastRedacted is the length, in bytes, of the shortest argument that Redact hides: shorter ones are in any text.
const leastRedacted = 4

// Redact hides in a text, an error of a task as a rule, the strings and numbers of the task's arguments. What stands
// there in another form than in the arguments stays.
func Redact(text string, args []byte) string {
	decoder := json.NewDecoder(bytes.NewReader(args))
	decoder.UseNumber()
	var value any
	if text == "" || decoder.Decode(&value) != nil {
		return text
	}
	var found []string
	collect(value, &found)
	slices.SortFunc(found, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // one may be a part of another
	for _, s := range found {
		text = strings.ReplaceAll(text, s, "***")
	}
	return text
}

// collect adds the strings and numbers in a JSON value that are long enough, without the names of fields.
func collect(value any, found *[]string) {
	switch value := value.(type) {
	case map[string]any:
		for _, member := range value {
			collect(member, found)
		}
	case []any:
		for _, element := range value {
			collect(element, found)
		}
	case json.Number:
		collect(value.String(), found)
	case string:
		if len(value) >= leastRedacted {
			*found = append(*found, value)
		}
	}
}
