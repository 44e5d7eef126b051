package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// setting is what the tags of one field of Config say.
type setting struct {
	Field    string
	Variable string
	Key      string
	Default  string
	By       []programDefault // where the default differs, in the order of the tag
	Range    string           // "least..most"
	OneOf    []string
	SomeOf   []string // one or several, with commas between
	Flag     string
	Short    string
	In       []string // the programs that use it; every one when empty
	Help     string
	Secret   bool // its value is not to be seen, and may stand in a file
	Kind     kind
	index    int
}

// programDefault is the default of one program.
type programDefault struct {
	Program Program
	Value   string
}

// settings reads the tags of Config, in the order of its fields.
func settings() []setting {
	t := reflect.TypeFor[Config]()
	all := make([]setting, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		s := setting{
			Field:    f.Name,
			Variable: f.Tag.Get("env"),
			Key:      f.Tag.Get("yaml"),
			Default:  f.Tag.Get("default"),
			Range:    f.Tag.Get("range"),
			In:       strings.Fields(f.Tag.Get("in")),
			Help:     f.Tag.Get("help"),
			Kind:     kindOf(f.Type),
			index:    i,
		}
		_, s.Secret = f.Type.MethodByName("Reveal")
		s.Flag, s.Short, _ = strings.Cut(f.Tag.Get("flag"), ",")
		if oneOf := f.Tag.Get("oneof"); oneOf != "" {
			s.OneOf = strings.Split(oneOf, "|")
		}
		if someOf := f.Tag.Get("someof"); someOf != "" {
			s.SomeOf = strings.Split(someOf, "|")
		}
		for _, by := range strings.Fields(f.Tag.Get("defaults")) {
			program, value, _ := strings.Cut(by, "=")
			s.By = append(s.By, programDefault{Program(program), value})
		}
		all = append(all, s)
	}
	return all
}

// kindOf is how a field is written in YAML.
func kindOf(field reflect.Type) kind {
	switch {
	case field == reflect.TypeFor[time.Duration]():
		return kindDuration
	case field.Kind() == reflect.Bool:
		return kindSwitch
	case field.Kind() == reflect.Int:
		return kindNumber
	case field.Kind() == reflect.Slice || field.Kind() == reflect.Map:
		return kindList
	}
	return kindText
}

// defaultFor is the text of the default in program p; "" is none.
func (s setting) defaultFor(p Program) string {
	for _, by := range s.By {
		if by.Program == p {
			return by.Value
		}
	}
	return s.Default
}

// usedBy tells whether program p does anything with the setting.
func (s setting) usedBy(p Program) bool {
	return p == Local || len(s.In) == 0 || slices.Contains(s.In, string(p))
}

// flagFor tells whether program p has a flag for the setting.
func (s setting) flagFor(p Program) bool {
	return s.Flag != "" && s.usedBy(p)
}

// value is the setting's field of c.
func (s setting) value(c Config) any {
	return reflect.ValueOf(c).Field(s.index).Interface()
}

// text is the setting's value in c, safe to print.
func (s setting) text(c Config) string {
	return fmt.Sprint(s.value(c))
}

// byField finds the setting of a field, which must exist.
func byField(all []setting, field string) setting {
	for _, s := range all {
		if s.Field == field {
			return s
		}
	}
	panic("config: no setting is called " + field)
}
