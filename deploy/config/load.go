package config

import (
	"encoding"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/paidui/paidui/models/plainyaml"
)

// fileFlag names the YAML file.
const fileFlag = "config"

// AddFlags gives flags the ones of program p: --config, and one for each setting that has a flag there.
func (s *Schema) AddFlags(p Program, flags *pflag.FlagSet) {
	flags.String(fileFlag, "", "YAML `file` with settings; the environment overrides it")
	for _, one := range s.settings {
		if one.flagFor(p) {
			flags.StringP(one.Flag, one.Short, one.defaultFor(p), fmt.Sprintf("%s (%s)", one.Help, one.Variable))
		}
	}
}

// Load reads the configuration of program p: the defaults, below the file of --config, below environ (in the form of
// os.Environ), below the flags. The flags are those of AddFlags after parsing, or nil. It fills the application's struct,
// whatever that held.
//
// It reads that file and those of the secrets that p uses, and does no other I/O. Its error is a *ValidationError with
// everything that is wrong, unknown keys and unknown PAIDUI_ variables among it, or says why the file cannot be read.
func (s *Schema) Load(p Program, flags *pflag.FlagSet, environ []string) (Config, error) {
	var file string
	if flags != nil {
		if f := flags.Lookup(fileFlag); f != nil {
			if file = f.Value.String(); file == "" && f.Changed {
				return Config{}, fmt.Errorf("--%s: the flag names no file", fileFlag)
			}
		}
	}
	var text []byte
	if file != "" {
		var err error
		if text, err = readFile(file); err != nil {
			return Config{}, fmt.Errorf("--%s: %w", fileFlag, err)
		}
	}
	return s.Parse(p, file, text, environ, flags)
}

// readFile reads a file as far as its size, if it is too large, can be told from what is read.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, plainyaml.MaxSize+1))
}

// Parse is Load with the text of the file given; file is its name, for errors.
func (s *Schema) Parse(p Program, file string, text []byte, environ []string, flags *pflag.FlagSet) (Config, error) {
	l := &loader{
		settings: s.settings, values: s.newConfiguration(), places: map[string]string{}, unread: map[string]bool{},
	}
	defaults := source{values: map[string]string{}}
	for _, one := range l.settings {
		defaults.values[one.Variable] = one.defaultFor(p)
	}
	l.apply(defaults)

	fromFile, mistakes, readable := readYAML(file, text, names(l.settings))
	l.mistakes = append(l.mistakes, mistakes...)
	fromEnviron, mistakes := readEnviron(environ, names(l.settings))
	l.mistakes = append(l.mistakes, mistakes...)
	fromFlags, mistakes := readFlags(p, flags, l.settings)
	l.mistakes = append(l.mistakes, mistakes...)
	sources := []source{fromFile, fromEnviron, fromFlags}
	for i, src := range sources {
		l.readFiles(p, src, sources[i+1:])
		l.apply(src)
	}

	if readable { // otherwise what the file sets would be reported as missing
		for _, m := range s.mistakes(p, l.values) {
			if l.unread[m.Variable] {
				continue // the same
			}
			m.Source = l.places[m.Variable]
			l.mistakes = append(l.mistakes, m)
		}
	}
	if err := asError(l.mistakes); err != nil {
		return Config{}, err
	}
	if s.target.IsValid() {
		s.target.Set(l.values.own)
	}
	cfg := l.values.config()
	cfg.warnings = l.warnings
	return cfg, nil
}

// source is one of the places that settings come from.
type source struct {
	values map[string]string // variable -> text
	places map[string]string // variable -> where that stands
}

// sets tells whether the source has a say about the setting.
func (src source) sets(s setting) bool {
	text, there := src.values[s.Variable]
	return text != "" || there && s.None
}

// loader collects the configuration from its sources.
type loader struct {
	settings []setting
	values   configuration
	places   map[string]string // variable -> where its value stands
	unread   map[string]bool   // variables of the secrets whose files cannot be read
	mistakes []Mistake
	warnings []Mistake
}

// apply sets what src has a text for. A value that does not parse leaves the setting as it was.
func (l *loader) apply(src source) {
	for _, s := range l.settings {
		if !src.sets(s) {
			continue
		}
		if err := set(l.values.field(s), src.values[s.Variable]); err != nil {
			for _, reason := range split(err) {
				l.mistakes = append(l.mistakes, Mistake{s.Variable, s.Key, src.places[s.Variable], reason.Error()})
			}
			continue
		}
		l.places[s.Variable] = src.places[s.Variable]
	}
}

// set reads the text of a field, whose type is settable.
func set(field reflect.Value, text string) error {
	switch value := field.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		return value.UnmarshalText([]byte(text))
	case *bool:
		on, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		*value = on
	case *int:
		n, err := parseWhole(text)
		if err != nil {
			return err
		}
		*value = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 30s, 5m or 168h", text)
		}
		*value = d
	default:
		field.SetString(text) // of a Secret, a URL or a string
	}
	return nil
}

// parseWhole reads a whole number in its plain form, the one way in which all sources write it.
func parseWhole(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	if plain := strconv.Itoa(n); plain != text {
		return 0, fmt.Errorf("%q is no plain number: write %s", text, plain)
	}
	return n, nil
}

// readFlags returns the flags that were given. One that is given says something: -Q "" is a mistake.
func readFlags(p Program, flags *pflag.FlagSet, all []setting) (source, []Mistake) {
	if flags == nil {
		return source{}, nil
	}
	src := source{map[string]string{}, map[string]string{}}
	var mistakes []Mistake
	for _, s := range all {
		if !s.flagFor(p) {
			continue
		}
		f := flags.Lookup(s.Flag)
		if f == nil || !f.Changed {
			continue
		}
		src.values[s.Variable], src.places[s.Variable] = strings.TrimSpace(f.Value.String()), "--"+s.Flag
		if src.values[s.Variable] == "" {
			mistakes = append(mistakes, Mistake{s.Variable, s.Key, "--" + s.Flag, "the flag has no value; leave it out for the default"})
		}
	}
	return src, mistakes
}

// split takes a joined error apart.
func split(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
