package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/paidui/paidui/models/plainyaml"
)

// yamlReader reads a configuration file.
type yamlReader struct {
	file     string
	known    []name
	src      source
	lines    map[string]int // variable -> line of its key
	mistakes []Mistake
}

// readYAML returns what a file sets, and everything that is wrong with it. It is readable when its syntax is right.
func readYAML(file string, text []byte, known []name) (src source, mistakes []Mistake, readable bool) {
	r := &yamlReader{
		file: file, known: known, src: source{map[string]string{}, map[string]string{}}, lines: map[string]int{},
	}
	root, problems := plainyaml.Parse(text)
	for _, problem := range problems {
		r.add(problem.Line, "%s", problem.Msg)
	}
	if root != nil {
		r.document(root)
	}
	return r.src, r.mistakes, len(problems) == 0
}

// document reads the settings of the file's mapping.
func (r *yamlReader) document(root ast.Node) {
	if root.Type() == ast.NullType {
		return
	}
	pairs, ok := plainyaml.Pairs(root)
	if !ok {
		r.add(plainyaml.Line(root), "the file is no list of settings, each written as key: value")
		return
	}
	for _, pair := range pairs {
		r.setting(pair)
	}
}

func (r *yamlReader) setting(pair plainyaml.Pair) {
	if !pair.IsText {
		r.add(pair.Line, "the key is no name of a setting")
		return
	}
	i := slices.IndexFunc(r.known, func(n name) bool { return n.Key == pair.Key })
	if i < 0 {
		keys := make([]string, len(r.known))
		for i, n := range r.known {
			keys[i] = n.Key
		}
		r.add(pair.Line, "there is no setting %q%s", pair.Key, suggest(pair.Key, keys))
		return
	}
	variable := r.known[i].Variable
	if first, twice := r.lines[variable]; twice {
		r.add(pair.Line, "%s is set twice; the first time on line %d", pair.Key, first)
		return
	}
	r.lines[variable] = pair.Line
	place := r.place(pair.Line)
	value, err := r.known[i].Kind.value(pair.Value)
	if err != nil && r.known[i].Secret {
		err = errors.New("wants text: put it in quotes") // the error may quote it
	}
	if err != nil {
		r.mistakes = append(r.mistakes, Mistake{variable, pair.Key, place, err.Error()})
		return
	}
	r.src.values[variable], r.src.places[variable] = strings.TrimSpace(value), place
}

func (r *yamlReader) place(line int) string { return fmt.Sprintf("%s:%d", r.file, max(line, 1)) }

func (r *yamlReader) add(line int, format string, args ...any) {
	r.mistakes = append(r.mistakes, Mistake{Source: r.place(line), Reason: fmt.Sprintf(format, args...)})
}

// kind is what a setting's value has to be in YAML. A variable is text in any case.
type kind string

const (
	kindText     kind = "text"
	kindList     kind = "a list of texts, or one text with commas between them"
	kindNumber   kind = "a whole number"
	kindSwitch   kind = "true or false"
	kindDuration kind = "a duration such as 30s, 5m or 168h"
)

// value is the text of a node, as a variable would give it. An empty text is nothing, of whatever kind.
func (k kind) value(node ast.Node) (string, error) {
	if list, ok := node.(*ast.SequenceNode); ok && k == kindList {
		texts := make([]string, len(list.Values))
		for i, item := range list.Values {
			var err error
			if texts[i], err = kindText.value(item); err != nil {
				return "", err
			}
		}
		return strings.Join(texts, ","), nil
	}
	text, ok := plainyaml.Text(node)
	if !ok {
		return "", fmt.Errorf("wants %s, found %s", k, plainyaml.Kind(node))
	}
	if text == "" {
		return "", nil
	}
	if err := plainyaml.CheckNumber(node); err != nil {
		return "", err
	}
	switch node.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		ok = k != kindNumber && k != kindSwitch
	case *ast.IntegerNode:
		ok = k == kindNumber || k == kindDuration // whose parser says what a number lacks
	case *ast.BoolNode:
		ok = k == kindSwitch
	default:
		ok = false
	}
	switch {
	case ok:
		return text, nil
	case k == kindText:
		return "", errors.New("wants text, found " + plainyaml.Kind(node) + ": put it in quotes")
	}
	return "", fmt.Errorf("wants %s, found %s", k, plainyaml.Kind(node))
}
