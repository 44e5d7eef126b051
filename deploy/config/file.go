package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// maxSecret is the size of the largest file of a secret, in bytes.
const maxSecret = 64 << 10

// name is what a source may set: a setting, or the file in which a secret one stands.
type name struct {
	Variable, Key string
	Kind          kind
	Secret        bool // its value is not to be quoted
}

// fileName names the file in which the setting stands.
func (s setting) fileName() name { return name{s.Variable + "_FILE", s.Key + "_file", kindText, false} }

// names are all that a source may set.
func names(all []setting) []name {
	var list []name
	for _, s := range all {
		list = append(list, name{s.Variable, s.Key, s.Kind, s.Secret})
		if s.InFile {
			list = append(list, s.fileName())
		}
	}
	return list
}

// readFiles puts the contents of the files that src names in the places of the settings. A file is not read when program
// p does not use its setting, which it may have no right to read then, nor when a later source sets the same setting.
func (l *loader) readFiles(p Program, src source, later []source) {
	for _, s := range l.settings {
		file := s.fileName()
		path := src.values[file.Variable]
		if !s.InFile || path == "" {
			continue
		}
		place := src.places[file.Variable]
		if src.values[s.Variable] != "" {
			l.mistakes = append(l.mistakes, Mistake{file.Variable, file.Key, place, "is set beside " + s.Variable + "; set one of them"})
			continue
		}
		if !s.usedBy(p) || overridden(s, later) {
			continue
		}
		text, warning, err := readSecret(path)
		if err != nil {
			l.mistakes = append(l.mistakes, Mistake{file.Variable, file.Key, place, err.Error()})
			l.unread[s.Variable] = true
			continue
		}
		if warning != "" {
			l.warnings = append(l.warnings, Mistake{file.Variable, file.Key, place, warning})
		}
		src.values[s.Variable], src.places[s.Variable] = text, path
	}
}

func overridden(s setting, later []source) bool {
	for _, src := range later {
		if src.sets(s) || src.values[s.fileName().Variable] != "" {
			return true
		}
	}
	return false
}

// readSecret reads a file of one line. White space around it, such as the newline at its end, is dropped, as it is from
// a variable. Neither the warning nor the error quotes the content.
func readSecret(path string) (text, warning string, err error) {
	// A pipe would hold the start until somebody writes to it.
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return "", "", fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return "", "", unwrapPath(path, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", "", unwrapPath(path, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	if err != nil {
		return "", "", unwrapPath(path, err)
	}
	text = strings.TrimSpace(string(content))
	switch {
	case len(content) > maxSecret:
		return "", "", fmt.Errorf("%s is larger than %d bytes", path, maxSecret)
	case text == "":
		return "", "", fmt.Errorf("%s is empty", path)
	case strings.ContainsAny(text, "\r\n\x00"):
		return "", "", fmt.Errorf("%s has more than one line", path)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 && runtime.GOOS != "windows" {
		warning = fmt.Sprintf("%s is open to every user of the machine (mode %04o); 0400 or 0440 is enough", path, mode)
	}
	return text, warning, nil
}

// unwrapPath says what is wrong with a file without the name of the system call.
func unwrapPath(path string, err error) error {
	var wrong *fs.PathError
	if errors.As(err, &wrong) {
		err = wrong.Err
	}
	return fmt.Errorf("read %s: %w", path, err)
}
