package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile is the size of the largest configuration file, in bytes.
const maxFile = 1 << 20

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
	readable = r.read(text)
	return r.src, r.mistakes, readable
}

func (r *yamlReader) read(text []byte) (readable bool) {
	if len(text) > maxFile {
		r.add(1, "the file is larger than %d bytes", maxFile)
		return false
	}
	text = []byte(strings.TrimPrefix(string(text), "\ufeff"))
	for i, line := range strings.Split(string(text), "\n") {
		content := strings.TrimLeft(line, " \t")
		if strings.TrimSpace(content) != "" && strings.Contains(line[:len(line)-len(content)], "\t") {
			r.add(i+1, "the line is indented with a tab; YAML wants spaces")
		}
	}
	if len(r.mistakes) > 0 {
		return false
	}
	parsed, err := parse(text)
	if err != nil {
		var syntax yaml.Error
		if errors.As(err, &syntax) && syntax.GetToken() != nil {
			r.add(syntax.GetToken().Position.Line, "%s", syntax.GetMessage())
		} else {
			r.add(1, "this is not YAML")
		}
		return false
	}
	documents := 0
	for _, document := range parsed.Docs {
		if document.Body == nil || document.Body.Type() == ast.CommentType {
			continue
		}
		if documents++; documents > 1 {
			r.add(line(document.Body), "the file has a second document")
			return false
		}
		r.document(document.Body)
	}
	return true
}

// parse takes a panic of the parser for what it is to the operator: a malformed text.
func parse(text []byte) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			file, err = nil, errors.New("malformed YAML")
		}
	}()
	return parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
}

// document reads the settings of a document's mapping.
func (r *yamlReader) document(body ast.Node) {
	switch body := body.(type) {
	case *ast.NullNode:
	case *ast.MappingNode:
		for _, entry := range body.Values {
			r.entry(entry)
		}
	case *ast.MappingValueNode:
		r.entry(body)
	default:
		r.add(line(body), "the file is no list of settings, each written as key: value")
	}
}

func (r *yamlReader) entry(entry *ast.MappingValueNode) {
	at := line(entry.Key)
	text, ok := entry.Key.(*ast.StringNode)
	if !ok {
		r.add(at, "the key is no name of a setting")
		return
	}
	key := text.Value
	i := slices.IndexFunc(r.known, func(n name) bool { return n.Key == key })
	if i < 0 {
		keys := make([]string, len(r.known))
		for i, n := range r.known {
			keys[i] = n.Key
		}
		r.add(at, "there is no setting %q%s", key, suggest(key, keys))
		return
	}
	variable := r.known[i].Variable
	if first, twice := r.lines[variable]; twice {
		r.add(at, "%s is set twice; the first time on line %d", key, first)
		return
	}
	r.lines[variable] = at
	place := fmt.Sprintf("%s:%d", r.file, at)
	value, ok := scalar(entry.Value)
	if list, isList := entry.Value.(*ast.SequenceNode); isList {
		value, ok = sequence(list)
	}
	if !ok {
		r.mistakes = append(r.mistakes, Mistake{variable, key, place, "the value is neither a single one nor a list of such"})
		return
	}
	r.src.values[variable], r.src.places[variable] = strings.TrimSpace(value), place
}

func (r *yamlReader) add(line int, format string, args ...any) {
	r.mistakes = append(r.mistakes, Mistake{
		Source: fmt.Sprintf("%s:%d", r.file, line),
		Reason: fmt.Sprintf(format, args...),
	})
}

// scalar is the text of a single value as it stands in the file: 010 stays 010.
func scalar(node ast.Node) (text string, ok bool) {
	switch node := node.(type) {
	case nil, *ast.NullNode:
		return "", true
	case *ast.StringNode:
		return node.Value, true
	case *ast.LiteralNode:
		return node.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return node.GetToken().Value, true
	default:
		return "", false
	}
}

// sequence is a list's texts, as a variable would give them.
func sequence(list *ast.SequenceNode) (text string, ok bool) {
	texts := make([]string, len(list.Values))
	for i, value := range list.Values {
		if texts[i], ok = scalar(value); !ok {
			return "", false
		}
	}
	return strings.Join(texts, ","), true
}

// line is the line that a node begins on.
func line(node ast.Node) int {
	if node == nil || node.GetToken() == nil {
		return 1
	}
	return node.GetToken().Position.Line
}
