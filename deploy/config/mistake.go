package config

import "strings"

// Mistake is one thing wrong with the configuration.
type Mistake struct {
	Variable string // the setting's variable; "" when the mistake belongs to no setting
	Key      string // the setting's YAML key; "" when the mistake belongs to no setting
	Source   string // where the value stands: "environment", "--flag", "FILE:LINE", or "" for a default
	Reason   string // what is wrong; never a secret
}

// Error names the setting by its variable and its key, and where the value stands.
func (m Mistake) Error() string {
	var names []string
	if m.Key != "" {
		names = append(names, m.Key)
	}
	if m.Source != "" {
		names = append(names, m.Source)
	}
	switch {
	case m.Variable == "":
		return strings.Join(names, ": ") + ": " + m.Reason
	case len(names) == 0:
		return m.Variable + ": " + m.Reason
	default:
		return m.Variable + " (" + strings.Join(names, ", ") + "): " + m.Reason
	}
}

// ValidationError is everything that is wrong with the configuration.
type ValidationError struct {
	Mistakes []Mistake // at least one
}

// Error has one line for each mistake.
func (e *ValidationError) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the mistakes to errors.As.
func (e *ValidationError) Unwrap() []error {
	errs := make([]error, len(e.Mistakes))
	for i, m := range e.Mistakes {
		errs[i] = m
	}
	return errs
}

// asError is nil when nothing is wrong.
func asError(mistakes []Mistake) error {
	if len(mistakes) == 0 {
		return nil
	}
	return &ValidationError{Mistakes: mistakes}
}
