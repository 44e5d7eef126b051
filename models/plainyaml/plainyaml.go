// Package plainyaml reads the YAML of files that people write for the programs: one document of mappings, lists and
// single values, each of which can be read in one way only. Anchors, aliases, merge keys and tags are refused, and so are
// numbers that readers of YAML take differently, such as 010. What a file costs to read is bounded.
package plainyaml

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// What a file may be at most. The parser calls itself for each level, and takes time that grows with the square of the
// tokens of some malformed texts.
const (
	MaxSize   = 1 << 20 // bytes; a ConfigMap is at most as large
	maxDepth  = 64      // brackets that are open at once, or list items, each in the other, that begin on one line
	maxTokens = 50_000  // words, values and signs
)

// Problem is one thing wrong with a file.
type Problem struct {
	Line int // from 1; 0 when it is the file as a whole
	Msg  string
}

// Parse returns the top node of a file, nil when it is empty or has problems. It may begin with a byte order mark.
func Parse(text []byte) (ast.Node, []Problem) {
	if len(text) > MaxSize {
		return nil, problem(0, "is larger than %d bytes", MaxSize)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if problems := checkText(text); len(problems) > 0 {
		return nil, problems
	}
	tokens := lexer.Tokenize(string(text))
	if problems := checkTokens(tokens); len(problems) > 0 {
		return nil, problems
	}
	file, err := parse(tokens)
	var syntax yaml.Error
	switch {
	case errors.As(err, &syntax) && syntax.GetToken() != nil:
		return nil, problem(syntax.GetToken().Position.Line, "is not YAML: %s", syntax.GetMessage())
	case err != nil:
		return nil, problem(0, "is not YAML")
	}
	var root ast.Node
	for _, document := range file.Docs {
		body := document.Body
		switch {
		case body == nil || body.Type() == ast.CommentType || body.Type() == ast.DirectiveType:
		case root != nil:
			return nil, problem(Line(body), "a second document begins: want one")
		default:
			root = body
		}
	}
	return root, nil
}

func problem(line int, format string, args ...any) []Problem {
	return []Problem{{line, fmt.Sprintf(format, args...)}}
}

// checkText finds what the lexer would take for something else.
func checkText(text []byte) (problems []Problem) {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if !utf8.Valid(line) {
			return problem(number, "is not UTF-8")
		}
		content := bytes.TrimLeft(line, " \t")
		if len(bytes.TrimSpace(content)) > 0 && bytes.ContainsRune(line[:len(line)-len(content)], '\t') {
			problems = append(problems, Problem{number, "a tab cannot indent: use spaces"})
		}
	}
	return problems
}

// checkTokens bounds what the parser gets, and refuses what is not plain.
func checkTokens(tokens token.Tokens) []Problem {
	if len(tokens) > maxTokens {
		return problem(0, "has more than %d words and signs", maxTokens)
	}
	open, line, begun := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, begun = t.Position.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			open++
		case token.MappingEndType, token.SequenceEndType:
			open--
		case token.SequenceEntryType, token.MappingKeyType:
			begun++
		case token.TagType:
			return problem(line, "tags (%s) are not supported", strings.TrimSpace(t.Value))
		case token.AnchorType, token.AliasType:
			return problem(line, "anchors and aliases (& and *) are not supported")
		case token.MergeKeyType:
			return problem(line, "merge keys (<<) are not supported")
		}
		if open > maxDepth || begun > maxDepth {
			return problem(line, "is nested deeper than %d", maxDepth)
		}
	}
	return nil
}

// parse takes a panic of the parser for what it is to the operator: a malformed text.
func parse(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			file, err = nil, errors.New("malformed YAML")
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}
