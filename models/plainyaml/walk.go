package plainyaml

import (
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Pair is a key of a mapping with its value.
type Pair struct {
	Key    string // as it stands in the file, without quotes
	IsText bool   // the key is text, and no number or the like
	Line   int    // of the key
	Value  ast.Node
}

// Pairs are those of a mapping, in their order; a key may be there twice. It is not ok for another node.
func Pairs(node ast.Node) (pairs []Pair, ok bool) {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		return nil, false
	}
	for each := mapping.MapRange(); each.Next(); {
		pair := Pair{Key: each.Key().String(), Line: Line(each.Key()), Value: each.Value()}
		if text, ok := each.Key().(*ast.StringNode); ok {
			pair.Key, pair.IsText = text.Value, true
		}
		pairs = append(pairs, pair)
	}
	return pairs, true
}

// LineAt is the line of what a path such as "on_success[0].args.n" leads to, below a node that is on the line at. Of a path
// that leads to nothing it is the line of the last part that is there.
func LineAt(node ast.Node, path string, at int) int {
	key, rest := CutPath(path)
	if list, ok := node.(*ast.SequenceNode); ok {
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(list.Values) {
			return LineAt(list.Values[i], rest, Line(list.Values[i]))
		}
		return at
	}
	pairs, _ := Pairs(node)
	for _, pair := range pairs {
		if pair.Key == key && key != "" {
			return LineAt(pair.Value, rest, pair.Line)
		}
	}
	return at
}

// CutPath takes the first name or index off a path.
func CutPath(path string) (key, rest string) {
	path = strings.TrimLeft(path, ".[")
	end := strings.IndexAny(path, ".[]")
	if end < 0 {
		return path, ""
	}
	return path[:end], strings.TrimPrefix(path[end:], "]")
}
