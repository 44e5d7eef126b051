package tasks

import (
	"encoding"
	"errors"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/paidui/paidui/models/fieldname"
)

// DecodeOptions reads the JSON form of options strictly: a name that is unknown or given twice is an error. It refuses
// with an *OptionError that names the field. Whether the values are in range tells Options.List, and the signature made
// with them.
func DecodeOptions(raw []byte) (Options, error) {
	var o Options
	err := json.Unmarshal(raw, &o, strict)
	if err == nil {
		return o, nil
	}
	var (
		syntax  *jsontext.SyntacticError
		meaning *json.SemanticError
	)
	switch {
	case errors.As(err, &meaning) && errors.Is(meaning.Err, json.ErrUnknownName):
		return Options{}, optionErrorf(fieldname.Of(meaning.JSONPointer), "unknown option")
	case errors.As(err, &meaning) && decodesItself(meaning.GoType):
		return Options{}, optionErrorf(fieldname.Of(meaning.JSONPointer), "%v", decodeMessage(meaning))
	case errors.As(err, &meaning):
		return Options{}, optionErrorf(fieldname.Of(meaning.JSONPointer), "%s", explainSemantic(meaning))
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		return Options{}, optionErrorf(fieldname.Of(syntax.JSONPointer), "is given twice")
	}
	return Options{}, optionErrorf("", "%v", err)
}

// decodesItself reports whether the type has its own way of reading JSON or text, and so its own errors.
func decodesItself(t reflect.Type) bool {
	if t == nil {
		return false
	}
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// decodeMessage is the error of a type that decodes itself.
func decodeMessage(e *json.SemanticError) error {
	switch e.GoType {
	case reflect.TypeFor[PriorityLevel]():
		return errNoPriority
	case reflect.TypeFor[HistoryMode]():
		return errNoHistory
	}
	if e.Err == nil {
		return errors.New(explainSemantic(e))
	}
	return e.Err
}
