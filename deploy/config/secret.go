package config

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

const mask = "***"

// Secret is a string that prints as ***, whatever prints it: fmt with any verb, encoding/json, YAML, slog. An empty
// one prints as nothing, so that a missing secret is seen to be missing.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns ***.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// Format prints ***. It stands for all verbs: fmt would print the text itself with a verb that String does not cover.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText gives *** to JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue gives *** to slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// URL is a URL whose password, if it has one, prints as ***.
type URL string

// Reveal returns the URL with its password.
func (u URL) Reveal() string { return string(u) }

// String returns Redacted.
func (u URL) String() string { return u.Redacted() }

// Format prints Redacted with every verb.
func (u URL) Format(f fmt.State, _ rune) { fmt.Fprint(f, u.Redacted()) }

// MarshalText gives Redacted to JSON and YAML.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.Redacted()), nil }

// LogValue gives Redacted to slog.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.Redacted()) }

// secretParameter finds query parameters such as ?password=x.
var secretParameter = regexp.MustCompile(`(?i)([?&;][^=&;]*(?:pass|pwd|secret|token|key)[^=&;]*=)[^&;]*`)

// Redacted returns the URL with *** in the place of passwords: in its user part and in its query. Of a text that is
// no URL it hides whatever could be a password, and perhaps more.
func (u URL) Redacted() string {
	text := secretParameter.ReplaceAllString(string(u), "${1}"+mask)
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok && text != "" && !strings.Contains(text, "@") {
		return mask // a password alone, perhaps
	}
	if !ok {
		scheme, rest = "", text
	} else {
		scheme += "://"
	}
	end := strings.LastIndex(rest, "@") // the last one, for an unescaped @ or / may be part of the password
	if end < 0 {
		return text
	}
	user, _, hasPassword := strings.Cut(rest[:end], ":")
	if !hasPassword {
		return text
	}
	return scheme + user + ":" + mask + rest[end:]
}
