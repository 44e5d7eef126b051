package beat

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// The YAML of schedules is plain: one document of mappings, lists and scalars. Anchors, aliases, merge keys and tags
// are refused, by name.

type field struct {
	line  int // of the key
	value ast.Node
}

type fields map[string]field

// root parses the file and returns its one document; nil when there is a problem.
func (l *loader) root(content []byte) (root ast.Node) {
	if !utf8.Valid(content) {
		valid := bytes.ToValidUTF8(content, []byte("\x00"))
		l.problem(1+bytes.Count(valid[:bytes.IndexByte(valid, 0)], []byte("\n")), "is not UTF-8")
		return nil
	}
	defer func() {
		if cause := recover(); cause != nil {
			l.problem(0, "is not YAML: %v", cause)
			root = nil
		}
	}()
	file, err := parser.ParseBytes(content, 0, parser.AllowDuplicateMapKey())
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax) && strings.Contains(syntax.Message, "\t"):
		l.problem(syntax.Token.Position.Line, "a tab cannot indent: use spaces")
		return nil
	case errors.As(err, &syntax):
		l.problem(syntax.Token.Position.Line, "is not YAML: %s", syntax.Message)
		return nil
	case err != nil:
		l.problem(0, "is not YAML: %v", err)
		return nil
	}
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.DirectiveType:
		case root != nil:
			l.problem(lineOf(doc.Body), "a second document begins: want one")
			return nil
		default:
			root = doc.Body
		}
	}
	if root == nil {
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
			l.problem(line, "unknown key %q: known are %s", key, strings.Join(known, ", "))
		case value.Type() == ast.NullType && key != "args":
			l.problem(line, "%s: has no value", key)
			fallthrough
		default:
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
	mapping, ok := node.(ast.MapNode)
	if !ok {
		l.problem(lineOf(node), "%s: want keys with values, found %s", what, kindOf(node))
		return false
	}
	seen := map[string]int{}
	for pairs := mapping.MapRange(); pairs.Next(); {
		line := lineOf(pairs.Key())
		if pairs.Key().Type() == ast.MergeKeyType {
			l.problem(line, "merge keys (<<) are not supported")
			continue
		}
		key := keyText(pairs.Key())
		if first, twice := seen[key]; twice {
			l.problem(line, "key %q is there twice, first in line %d", key, first)
			continue
		}
		seen[key] = line
		visit(key, line, pairs.Value())
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
	l.problem(given.line, "%s: want text, found %s: put it in quotes", key, kindOf(given.value))
	return "", false
}

// value turns a node into what encoding/json can write. What it is a value of is said in problems.
func (l *loader) value(node ast.Node, what string) (value any, ok bool) {
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
	l.problem(lineOf(node), "%s: %s cannot be a value", what, kindOf(node))
	return nil, false
}

// lineOfArg finds the line of the argument at a path such as "a.b"; otherwise is where it would have to be.
func lineOfArg(args ast.Node, path string, otherwise int) int {
	mapping, ok := args.(ast.MapNode)
	if !ok {
		return otherwise
	}
	key, rest, _ := strings.Cut(path, ".")
	for pairs := mapping.MapRange(); pairs.Next(); {
		if keyText(pairs.Key()) == key {
			return lineOfArg(pairs.Value(), rest, lineOf(pairs.Key()))
		}
	}
	return otherwise
}

func keyText(key ast.MapKeyNode) string {
	if s, ok := key.(*ast.StringNode); ok {
		return s.Value
	}
	return key.String()
}

func lineOf(node ast.Node) int {
	if mapping, ok := node.(*ast.MappingNode); ok && !mapping.IsFlowStyle && len(mapping.Values) > 0 {
		return lineOf(mapping.Values[0].Key)
	}
	if token := node.GetToken(); token != nil && token.Position != nil {
		return token.Position.Line
	}
	return 0
}

func kindOf(node ast.Node) string {
	switch node.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "a mapping"
	case ast.SequenceType:
		return "a list"
	case ast.NullType:
		return "nothing"
	case ast.AnchorType, ast.AliasType:
		return "an anchor or alias"
	case ast.TagType:
		return "a tag"
	case ast.StringType, ast.LiteralType:
		return "text"
	default:
		return fmt.Sprintf("%s %s", strings.ToLower(node.Type().YAMLName()), node.String())
	}
}
