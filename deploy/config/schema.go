package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Options say what a program is configured with beside Config.
type Options struct {
	Name string // of the program, in names of files; "paidui" when empty
	// Settings are the application's own: a pointer to a struct whose fields have tags as Config's. Load fills it. Nil: none.
	Settings any
	// Defaults are what an application has other settings' defaults be, of Config's fields, by their variables. They hold in
	// every program; "" is none.
	Defaults map[string]string
	Checks   Checks
}

// Checks have a say about values whose tag form names them: the clients of stores, whether they can make sense of a URL,
// without I/O. The error speaks of the value without the setting's name or a password.
type Checks map[string]func(text string) error

// Checker is what an application's settings implement, on their pointer, to have rules that tags cannot express. It gets
// the framework's settings, too, and does no I/O. Of a Mistake it sets Variable and Reason.
type Checker interface {
	Check(p Program, c Config) []Mistake
}

// Schema is all settings of a program: the framework's, and those of its application. It does not change once made.
type Schema struct {
	settings []setting
	target   reflect.Value // the application's struct; invalid without one
	checks   Checks
}

// NewSchema puts an application's settings beside Config. Its error names every tag that is wrong, and every name that two
// settings have.
func NewSchema(opt Options) (*Schema, error) {
	s := &Schema{checks: opt.Checks}
	var err error
	if s.settings, err = settingsOf(reflect.TypeFor[Config](), false); err != nil {
		return nil, err
	}
	if err := setDefaults(s.settings, opt.Defaults); err != nil {
		return nil, err
	}
	if opt.Settings != nil {
		pointer := reflect.ValueOf(opt.Settings)
		if pointer.Kind() != reflect.Pointer || pointer.IsNil() || pointer.Elem().Kind() != reflect.Struct {
			return nil, fmt.Errorf("the settings are a %T; they are to be a pointer to a struct", opt.Settings)
		}
		s.target = pointer.Elem()
		theirs, err := settingsOf(s.target.Type(), true)
		if err != nil {
			return nil, err
		}
		for _, one := range theirs {
			if one.Form != "" && forms[one.Form] == nil && opt.Checks[one.Form] == nil {
				known := slices.Sorted(maps.Keys(forms))
				return nil, fmt.Errorf("the setting %s: the form %q is none of %s", one.Field, one.Form, strings.Join(known, ", "))
			}
		}
		s.settings = append(s.settings, theirs...)
	}
	name := cmp.Or(opt.Name, "paidui")
	for i := range s.settings {
		one := &s.settings[i]
		one.Default = strings.ReplaceAll(one.Default, "{name}", name)
		for j := range one.By {
			one.By[j].Value = strings.ReplaceAll(one.By[j].Value, "{name}", name)
		}
	}
	return s, s.checkNames()
}

func setDefaults(list []setting, defaults map[string]string) error {
	for _, variable := range slices.Sorted(maps.Keys(defaults)) {
		i := slices.IndexFunc(list, func(s setting) bool { return s.Variable == variable })
		if i < 0 {
			return fmt.Errorf("a default for %s: there is no such setting", variable)
		}
		list[i].Default, list[i].By = defaults[variable], nil
	}
	return nil
}

// checkNames refuses two settings of one name, files of secrets included.
func (s *Schema) checkNames() error {
	var errs []error
	variables, keys, flags := map[string]bool{}, map[string]bool{}, map[string]bool{fileFlag: true}
	once := func(what, name string, seen map[string]bool) {
		if seen[name] {
			errs = append(errs, fmt.Errorf("two settings have the %s %s", what, name))
		}
		seen[name] = true
	}
	for _, n := range names(s.settings) {
		once("variable", n.Variable, variables)
		once("key", n.Key, keys)
	}
	for _, one := range s.settings {
		for _, flag := range []string{one.Flag, one.Short} {
			if flag != "" {
				once("flag", flag, flags)
			}
		}
	}
	return errors.Join(errs...)
}

// configuration is one set of values of all settings.
type configuration struct {
	framework reflect.Value // a Config
	own       reflect.Value // the application's struct; invalid without one
}

// newConfiguration has all values zero.
func (s *Schema) newConfiguration() configuration {
	c := configuration{framework: reflect.New(reflect.TypeFor[Config]()).Elem()}
	if s.target.IsValid() {
		c.own = reflect.New(s.target.Type()).Elem()
	}
	return c
}

// of has the values of c, and of its application.
func (s *Schema) of(c Config) configuration {
	all := s.newConfiguration()
	all.framework.Set(reflect.ValueOf(c))
	if c.own != nil && all.own.IsValid() {
		all.own.Set(reflect.ValueOf(c.own.settings).Elem())
	}
	return all
}

// config is the value of the framework's settings, which knows the application's.
func (c configuration) config() Config {
	cfg := c.framework.Interface().(Config)
	if c.own.IsValid() {
		cfg.own = &own{c.own.Addr().Interface()}
	}
	return cfg
}

// field is where the setting's value is.
func (c configuration) field(s setting) reflect.Value {
	if s.own {
		return c.own.Field(s.index)
	}
	return c.framework.Field(s.index)
}

// byVariable finds a setting, which must exist.
func byVariable(all []setting, variable string) setting {
	for _, s := range all {
		if s.Variable == variable {
			return s
		}
	}
	panic("config: no setting has the variable " + variable)
}
