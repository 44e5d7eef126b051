package tasks

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
)

// requiredField is a top-level field that arguments must have.
type requiredField struct {
	name     string
	nullable bool
}

func requiredFields(schema *jsonschema.Schema) []requiredField {
	var list []requiredField
	for _, name := range schema.Required {
		types := schema.Properties[name].Types
		list = append(list, requiredField{name: name, nullable: slices.Contains(types, "null")})
	}
	return list
}

// checkRequired refuses arguments that lack one of the fields. raw is known to decode, so it is an object, or empty.
func checkRequired(required []requiredField, raw []byte) error {
	if len(required) == 0 {
		return nil
	}
	kinds, err := fieldKinds(raw)
	if err != nil {
		return &ArgsError{Msg: err.Error()}
	}
	for _, field := range required {
		switch kind := kinds[field.name]; {
		case kind == 0:
			return &ArgsError{Field: field.name, Msg: "is required"}
		case kind == 'n' && !field.nullable:
			return &ArgsError{Field: field.name, Msg: "must not be null"}
		}
	}
	return nil
}

// fieldKinds are the kinds of an object's top-level values, by name.
func fieldKinds(raw []byte) (map[string]jsontext.Kind, error) {
	kinds := make(map[string]jsontext.Kind, 8)
	if len(bytes.TrimSpace(raw)) == 0 {
		return kinds, nil
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(raw))
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		kinds[key] = d.PeekKind()
		if err := d.SkipValue(); err != nil {
			return nil, err
		}
	}
	return kinds, nil
}
