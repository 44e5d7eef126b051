package config

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// helpWidth is the longest line of --help, in columns.
const helpWidth = 100

// Help lists the settings that program p uses, each with its variable, its meaning and its default, for --help.
func (s *Schema) Help(p Program) string {
	var used []setting
	column := 0 // where the meanings begin
	for _, one := range s.settings {
		if one.usedBy(p) {
			used = append(used, one)
			column = max(column, len("  "+one.Variable+"  "))
		}
	}
	var text strings.Builder
	text.WriteString("The key of PAIDUI_LOG_LEVEL is log_level, and so on.\n\n")
	for _, one := range used {
		for i, line := range wrap(one.meaning(p), helpWidth-column) {
			variable := ""
			if i == 0 {
				variable = "  " + one.Variable
			}
			fmt.Fprintf(&text, "%-*s%s\n", column, variable, line)
		}
	}
	return text.String()
}

// meaning is the help line with the limits, the default in program p, and the variable that names a file instead.
func (s setting) meaning(p Program) string {
	text := s.Help
	if s.Range != "" {
		text += "; " + s.Range
	}
	if len(s.OneOf) > 0 {
		text += "; " + strings.Join(s.OneOf, "|")
	}
	if len(s.SomeOf) > 0 {
		text += "; " + strings.Join(s.SomeOf, ",")
	}
	if s.InFile {
		text += "; or " + s.fileName().Variable + ", the file that holds it"
	}
	if s.Key != keyOf(s.Variable) {
		text += "; its key is " + s.Key
	}
	switch value := s.defaultFor(p); {
	case value != "":
		text += " [" + value + "]"
	case s.Default != "":
		text += " [its own]" // the program makes one where others have a default
	}
	return text
}

// wrap breaks text at its spaces into lines of at most width columns, unless a word is longer.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line+" "+word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}
