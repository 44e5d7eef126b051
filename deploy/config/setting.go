package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setting is what the tags of one field say.
type setting struct {
	Field    string
	Variable string
	Key      string
	Default  string
	By       []programDefault // where the default differs, in the order of the tag
	Range    string           // "least..most"
	OneOf    []string
	SomeOf   []string // one or several, with commas between
	Form     string   // what the text has to be
	Bytes    int      // of a secret, at least; 0 for any number
	Required []string // the programs that do not start without it
	None     bool     // an empty value is one
	Flag     string
	Short    string
	In       []string // the programs that use it; every one when empty
	Help     string
	Secret   bool // its value is not to be seen
	InFile   bool // ... and may stand in a file
	Kind     kind
	own      bool // of the application
	index    int
}

// programDefault is the default of one program.
type programDefault struct {
	Program Program
	Value   string
}

var variableName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// settingsOf reads the tags of a struct, in the order of its fields. The error names every field that makes no setting.
func settingsOf(t reflect.Type, own bool) (all []setting, err error) {
	var errs []error
	for i := range t.NumField() {
		f := t.Field(i)
		variable, tagged := f.Tag.Lookup("env")
		if !tagged {
			continue
		}
		s := setting{
			Field:    f.Name,
			Variable: variable,
			Key:      f.Tag.Get("yaml"),
			Default:  f.Tag.Get("default"),
			Range:    f.Tag.Get("range"),
			Form:     f.Tag.Get("form"),
			Required: strings.Fields(f.Tag.Get("required")),
			None:     f.Tag.Get("none") == "true",
			In:       strings.Fields(f.Tag.Get("in")),
			Help:     f.Tag.Get("help"),
			Kind:     kindOf(f.Type),
			own:      own,
			index:    i,
		}
		if s.Key == "" {
			s.Key = keyOf(s.Variable)
		}
		_, s.Secret = f.Type.MethodByName("Reveal")
		s.InFile = s.Secret && f.Tag.Get("file") != "own"
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
		if text := f.Tag.Get("bytes"); text != "" {
			s.Bytes, err = strconv.Atoi(text)
		}
		if err = errors.Join(err, s.check(f)); err != nil {
			errs = append(errs, fmt.Errorf("the setting %s.%s: %w", t, f.Name, err))
			err = nil
		}
		all = append(all, s)
	}
	return all, errors.Join(errs...)
}

// keyOf is the key of a variable, unless a tag gives another.
func keyOf(variable string) string { return strings.ToLower(strings.TrimPrefix(variable, prefix)) }

// check finds what is wrong with the tags, which a program's author is to mend.
func (s setting) check(f reflect.StructField) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !f.IsExported() {
		wrong("is not exported")
	}
	if !variableName.MatchString(s.Variable) {
		wrong("%q is no name of a variable, such as REPORTS_DIR", s.Variable)
	}
	if !settable(f.Type) {
		wrong("a %s cannot be read from a text", f.Type)
	}
	for _, program := range slices.Concat(s.In, s.Required) {
		if !slices.Contains(programs, Program(program)) {
			wrong("%q is none of the programs %v", program, programs)
		}
	}
	for _, by := range s.By {
		if !slices.Contains(programs, by.Program) {
			wrong("%q is none of the programs %v", by.Program, programs)
		}
	}
	text := f.Type.Kind() == reflect.String
	if !text && (s.Form != "" || s.Bytes > 0) {
		wrong("only a text has a form, or bytes")
	}
	if s.Range != "" {
		if err := s.checkRange(f.Type); err != nil {
			wrong("the range %q: %w", s.Range, err)
		}
	}
	return errors.Join(errs...)
}

func (s setting) checkRange(t reflect.Type) error {
	least, most, _ := strings.Cut(s.Range, "..")
	for _, text := range []string{least, most} {
		var err error
		switch {
		case t == reflect.TypeFor[time.Duration]():
			_, err = time.ParseDuration(text)
		case t.Kind() == reflect.Int:
			_, err = strconv.Atoi(text)
		default:
			err = errors.New("only an int or a time.Duration has one")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settable tells whether set can read a field of the type.
func settable(t reflect.Type) bool {
	switch {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return true
	case t == reflect.TypeFor[bool](), t == reflect.TypeFor[int](), t == reflect.TypeFor[time.Duration]():
		return true
	}
	return t.Kind() == reflect.String
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
