package plainyaml

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Line is the line that a node begins on, 0 when that is not known.
func Line(node ast.Node) int {
	if mapping, ok := node.(*ast.MappingNode); ok && !mapping.IsFlowStyle && len(mapping.Values) > 0 {
		return Line(mapping.Values[0].Key)
	}
	if node == nil || node.GetToken() == nil || node.GetToken().Position == nil {
		return 0
	}
	return node.GetToken().Position.Line
}

// Kind says what a node is, for an error that wanted something else.
func Kind(node ast.Node) string {
	switch node := node.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value
	}
	return "something else"
}

// Text is a single value as it stands in the file; of nothing it is "". It is not ok for a list, a mapping and the like.
func Text(node ast.Node) (text string, ok bool) {
	switch node := node.(type) {
	case nil, *ast.NullNode:
		return "", true
	case *ast.StringNode:
		return node.Value, true
	case *ast.LiteralNode:
		return node.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return node.GetToken().Value, true
	}
	return "", false
}

var (
	numeral = regexp.MustCompile(`^[-+]?\.?[0-9]`)
	integer = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
	decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?$`)
	octal   = regexp.MustCompile(`^([-+]?)0+(0|[1-9][0-9]*)$`)
)

// CheckNumber refuses a number that is not written plainly: 010 is 8 to some readers of YAML and 10 to others, and 1e3 is
// a number to some and text to others. The error says what to write instead. Nodes that are no such numbers are right.
func CheckNumber(node ast.Node) error {
	t := node.GetToken()
	if t == nil || t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType {
		return nil
	}
	switch node.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode:
	default:
		return nil
	}
	return CheckNumeral(strings.TrimSpace(t.Value))
}

// CheckNumeral is CheckNumber of a text without quotes.
func CheckNumeral(text string) error {
	if !numeral.MatchString(text) || decimal.MatchString(text) {
		return nil
	}
	readings, isNumber := read(text)
	switch {
	case !isNumber, integer.MatchString(text) && readings[0] == text:
		return nil
	case integer.MatchString(text):
		return fmt.Errorf("%s is too large for a number: write \"%s\" if it is text", text, text)
	}
	quoted := fmt.Sprintf("%q if it is text", text)
	return fmt.Errorf("%s is no plain number: write %s", text, strings.Join(append(readings, quoted), ", or "))
}

// read returns the numbers that readers of YAML may take text for, written plainly.
func read(text string) (readings []string, isNumber bool) {
	digits := strings.ReplaceAll(text, "_", "")
	if parts := octal.FindStringSubmatch(digits); parts != nil {
		readings = append(readings, strings.TrimPrefix(parts[1], "+")+parts[2])
	}
	if n, ok := new(big.Int).SetString(digits, 0); ok && (n.IsInt64() || n.IsUint64()) {
		readings = append(readings, n.String())
	}
	if len(readings) == 0 {
		f, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			return []string{}, errors.Is(err, strconv.ErrRange)
		}
		readings = append(readings, plainFloat(f))
	}
	return slices.Compact(readings), true
}

// plainFloat writes f as decimal accepts it, without a fraction where it has none and is short.
func plainFloat(f float64) string {
	if text := strconv.FormatFloat(f, 'f', -1, 64); len(text) <= 20 {
		return text
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	return mantissa + "e" + exponent
}
