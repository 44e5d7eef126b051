package config

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Help is the table of every setting, with its variable, its YAML key, its default and its meaning, for --help.
func Help() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  VARIABLE\tYAML KEY\tDEFAULT\tMEANING")
	for _, s := range settings() {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", s.Variable, s.Key, dash(s.Default), s.meaning())
	}
	w.Flush()
	return text.String()
}

// meaning is the help line with the limits and the programs whose default differs.
func (s setting) meaning() string {
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
	for i, by := range s.By {
		mark := ", "
		if i == 0 {
			mark = "; "
		}
		value := by.Value
		if value == "" {
			value = "its own"
		}
		text += fmt.Sprintf("%s%s: %s", mark, by.Program, value)
	}
	return text
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
