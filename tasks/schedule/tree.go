package schedule

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/paidui/paidui/models/plainyaml"
)

type field struct {
	line  int // of the key
	value ast.Node
}

type fields map[string]field

// root parses the file and returns its top node; nil when there is a problem.
func (l *loader) root(content []byte) ast.Node {
	root, problems := plainyaml.Parse(content)
	for _, p := range problems {
		l.problem(p.Line, "%s", p.Msg)
	}
	if root == nil && len(problems) == 0 {
		l.problem(0, `is empty: want "schedules"`)
	}
	return root
}

// fields reads a mapping whose keys are known; nil when it is none.
func (l *loader) fields(node ast.Node, what string, known ...string) fields {
	found := fields{}
	ok := l.each(node, what, func(key string, line int, value ast.Node) {
		switch {
		case !slices.Contains(known, key):
			l.problemOf(key, line, "unknown key %q: known are %s", key, strings.Join(known, ", "))
		case value.Type() == ast.NullType && key != "args":
			l.problemOf(key, line, "%s: has no value", key)
			fallthrough
		default:
			if err := plainyaml.CheckNumber(value); err != nil {
				l.problemOf(key, line, "%s: %v", key, err)
				return
			}
			found[key] = field{line: line, value: value}
		}
	})
	if !ok {
		return nil
	}
	return found
}

// each visits the pairs of a mapping and reports keys that come twice.
func (l *loader) each(node ast.Node, what string, visit func(key string, line int, value ast.Node)) bool {
	pairs, ok := plainyaml.Pairs(node)
	if !ok {
		l.problem(plainyaml.Line(node), "%s: want keys with values, found %s", what, plainyaml.Kind(node))
		return false
	}
	seen := map[string]int{}
	for _, pair := range pairs {
		if first, twice := seen[pair.Key]; twice {
			l.problemOf(pair.Key, pair.Line, "key %q is there twice, first in line %d", pair.Key, first)
			continue
		}
		seen[pair.Key] = pair.Line
		visit(pair.Key, pair.Line, pair.Value)
	}
	return true
}

// text is a string scalar; ok is false when the key is absent, or not text, which is a problem.
func (l *loader) text(f fields, key string) (value string, ok bool) {
	given, ok := f[key]
	if !ok {
		return "", false
	}
	switch node := given.value.(type) {
	case *ast.StringNode:
		return node.Value, true
	case *ast.LiteralNode:
		return strings.TrimSpace(node.Value.Value), true
	case *ast.NullNode: // reported by fields
		return "", false
	}
	l.problemOf(key, given.line, "%s: want text, found %s: put it in quotes", key, plainyaml.Kind(given.value))
	return "", false
}

// value turns a node into what encoding/json can write. What it is a value of is said in problems.
func (l *loader) value(node ast.Node, what string) (value any, ok bool) {
	if err := plainyaml.CheckNumber(node); err != nil {
		l.problemOf(what, plainyaml.Line(node), "%s: %v", what, err)
		return nil, false
	}
	switch node := node.(type) {
	case *ast.NullNode:
		return nil, true
	case *ast.BoolNode:
		return node.Value, true
	case *ast.IntegerNode:
		return node.Value, true
	case *ast.StringNode:
		return node.Value, true
	case *ast.LiteralNode:
		return node.Value.Value, true
	case *ast.FloatNode:
		return node.Value, true
	case *ast.SequenceNode:
		list, good := make([]any, len(node.Values)), true
		for i, item := range node.Values {
			var itemOK bool
			list[i], itemOK = l.value(item, what)
			good = good && itemOK
		}
		return list, good
	case *ast.MappingNode, *ast.MappingValueNode:
		pairs, before := map[string]any{}, len(l.problems)
		l.each(node, what, func(key string, _ int, value ast.Node) { pairs[key], _ = l.value(value, what) })
		return pairs, len(l.problems) == before
	}
	l.problemOf(what, plainyaml.Line(node), "%s: %s cannot be a value", what, plainyaml.Kind(node))
	return nil, false
}
