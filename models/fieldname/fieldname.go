// Package fieldname writes where a value of a JSON document stands, as errors name it.
package fieldname

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Of converts a JSON pointer to the name of a field: /on_success/0/backoff/base is on_success[0].backoff.base, and the whole
// document is "".
func Of(p jsontext.Pointer) string {
	var field strings.Builder
	for name := range p.Tokens() {
		switch _, err := strconv.ParseUint(name, 10, 32); {
		case field.Len() == 0:
			field.WriteString(name)
		case err == nil:
			field.WriteString("[" + name + "]")
		default:
			field.WriteString("." + name)
		}
	}
	return field.String()
}
