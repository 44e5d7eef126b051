package tasks

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// Validator is implemented by arguments with rules beyond their types. It is asked before a task is enqueued and
// again before its handler runs.
type Validator interface{ Validate() error }

// strict is how arguments are read: a name that is unknown, in another case or given twice is an error, and so are
// bytes that are not UTF-8. Durations are in nanoseconds, as encoding/json writes them.
var strict = json.JoinOptions(json.RejectUnknownMembers(true), jsonv1.FormatDurationAsNano(true))

// decodeArgs reads JSON arguments strictly and asks their Validator; it refuses with an *ArgsError. Empty input stands
// for {}.
func decodeArgs[A any](raw []byte) (A, error) {
	args, err := readArgs[A](raw)
	if err != nil {
		return args, err
	}
	return args, validateArgs(args)
}

func readArgs[A any](raw []byte) (A, error) {
	var args A
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0:
		raw = []byte("{}")
	case string(raw) == "null":
		return args, &ArgsError{Msg: "null is not an argument value"}
	}
	err := json.Unmarshal(raw, &args, strict)
	if meaning := (*json.SemanticError)(nil); errors.As(err, &meaning) && meaning.JSONKind == '0' {
		if plain := plainIntegers(raw); plain != nil {
			args = *new(A)
			err = json.Unmarshal(plain, &args, strict)
		}
	}
	if err != nil {
		return args, argsError(err)
	}
	return args, nil
}

func validateArgs(args any) error {
	v, ok := args.(Validator)
	if !ok {
		return nil
	}
	err := v.Validate()
	var argsErr *ArgsError
	if err == nil || errors.As(err, &argsErr) {
		return err
	}
	return &ArgsError{Msg: err.Error()}
}

func argsError(err error) error {
	var (
		syntax  *jsontext.SyntacticError
		meaning *json.SemanticError
	)
	switch {
	case errors.As(err, &meaning) && errors.Is(meaning.Err, json.ErrUnknownName):
		return &ArgsError{Field: fieldOf(meaning.JSONPointer), Msg: "unknown field"}
	case errors.As(err, &meaning):
		return &ArgsError{Field: fieldOf(meaning.JSONPointer), Msg: explainSemantic(meaning)}
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		return &ArgsError{Field: fieldOf(syntax.JSONPointer), Msg: "is given twice"}
	case errors.As(err, &syntax):
		return &ArgsError{Msg: fmt.Sprintf("not one JSON value: %v at byte %d", syntax.Err, syntax.ByteOffset)}
	}
	return &ArgsError{Msg: err.Error()}
}

func explainSemantic(e *json.SemanticError) string {
	got := e.JSONKind.String()
	switch e.JSONKind {
	case '[':
		got = "array"
	case '{':
		got = "object"
	}
	if len(e.JSONValue) > 0 && len(e.JSONValue) <= 40 {
		got += " " + string(e.JSONValue)
	}
	if e.GoType == nil {
		return "does not take the " + got
	}
	text := fmt.Sprintf("wants %s, not the %s", kindOf(e.GoType), got)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// kindOf says in JSON's words what a Go type takes.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer from 0"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a " + t.String()
}

// fieldOf writes a JSON pointer as clients name fields: /a/b is a.b.
func fieldOf(p jsontext.Pointer) string {
	var names []string
	for name := range p.Tokens() {
		names = append(names, name)
	}
	return strings.Join(names, ".")
}
