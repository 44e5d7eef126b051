package deploy_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// luaLiterals says where string literals of a Go file call Redis from Lua.
func luaLiterals(files *token.FileSet, parsed *ast.File) []token.Position {
	var found []token.Position
	ast.Inspect(parsed, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err == nil && (strings.Contains(text, "redis.call(") || strings.Contains(text, "redis.pcall(")) {
			found = append(found, files.Position(literal.Pos()))
		}
		return true
	})
	return found
}

func TestScriptsAreFiles(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	names := moduleFiles(t, ".go")
	require.Greater(t, len(names), 20, "the module's files were not found")
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, position := range luaLiterals(files, parsed) {
			t.Errorf("%s: Lua in a Go string: make it a file, see redisx.LoadScript", position)
		}
	}
}

func TestScriptsInGoStringsAreFound(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, "x.go", "package x\n\n"+
		"// redis.call('GET') in a comment\n"+
		"const a = `\nredis.call('GET', KEYS[1])`\n"+
		`var b, c = "redis.\x70call('GET')", "redis.Nil"`+"\n", parser.SkipObjectResolution)
	require.NoError(t, err)
	found := luaLiterals(files, parsed)
	require.Len(t, found, 2)
	require.Equal(t, "x.go:4:11", found[0].String())
	require.Equal(t, "x.go:6:12", found[1].String())
}

var (
	place        = regexp.MustCompile(`(KEYS|ARGV)\[(\d+)\]`)
	countedPlace = regexp.MustCompile(`(?:KEYS|ARGV)\[[^\]]*\*`)
	placeRange   = regexp.MustCompile(`(?m)^-- (KEYS|ARGV)\[(\d+)\] …(?: (?:KEYS|ARGV)\[(\d+)\])?`)
)

// headerFaults says what the header of a script, the comment with which it begins, leaves open of what the script takes. A
// library has a comment at each of its functions instead.
func headerFaults(text string, library bool) []string {
	lines := strings.SplitAfter(text, "\n")
	end := 0
	for end < len(lines) && strings.HasPrefix(lines[end], "--") {
		end++
	}
	header, code := strings.Join(lines[:end], ""), withoutComments(strings.Join(lines[end:], ""))
	var faults []string
	if !library && !strings.HasPrefix(header, "-- ") {
		faults = append(faults, "no comment at its beginning")
	}
	if !library && !strings.Contains(header, "\n-- Answers ") {
		faults = append(faults, "its header does not say what it Answers")
	}
	for _, read := range place.FindAllStringSubmatch(code, -1) {
		if !named(header, read[1], read[2]) {
			faults = append(faults, "its header has no line on "+read[0])
		}
	}
	for _, list := range []string{"KEYS", "ARGV"} {
		if !library && regexp.MustCompile(`\b`+list+`\b`).MatchString(code) && !regexp.MustCompile(`(?m)^--.*\b`+list+`\b`).MatchString(header) {
			faults = append(faults, "its header has nothing on "+list)
		}
	}
	if counted := countedPlace.FindString(code); counted != "" {
		faults = append(faults, "it counts places: "+counted)
	}
	return faults
}

// named reports whether a line of the header is on KEYS[n], or ARGV[n], alone or in a range.
func named(header, list, n string) bool {
	if strings.Contains(header, fmt.Sprintf("\n-- %s[%s] ", list, n)) {
		return true
	}
	at, _ := strconv.Atoi(n)
	for _, span := range placeRange.FindAllStringSubmatch(header, -1) {
		first, _ := strconv.Atoi(span[2])
		last, err := strconv.Atoi(span[3])
		if span[1] == list && at >= first && (err != nil || at <= last) {
			return true
		}
	}
	return false
}

func withoutComments(code string) string {
	return regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(code, "")
}

// TestScriptsSayWhatTheyTake: the header of each names what it reads of KEYS and ARGV, and what it answers.
func TestScriptsSayWhatTheyTake(t *testing.T) {
	t.Parallel()
	found := 0
	for _, name := range moduleFiles(t, ".lua") {
		slashed := filepath.ToSlash(name)
		if strings.HasPrefix(slashed, "../deploy/bench/") { // not for Redis
			continue
		}
		require.Contains(t, slashed, "/lua/")
		found++
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		library := strings.Contains(slashed, "/lua/lib/") || slashed == "../models/redisx/lua/lease.lua"
		for _, fault := range headerFaults(string(text), library) {
			t.Errorf("%s: %s", name, fault)
		}
	}
	require.Greater(t, found, 50, "the scripts were not found")
}

func TestScriptHeaderFaults(t *testing.T) {
	t.Parallel()
	whole := "-- Does it.\n-- KEYS[1] key\n-- ARGV[1] … ARGV[2] words\n-- ARGV[4] …\n-- Answers 1.\n\n"
	for code, faults := range map[string][]string{
		"return redis.call('GET', KEYS[1]) -- ARGV[3]": nil,
		"return {ARGV[1], ARGV[2], ARGV[9]}":           nil,
		"return KEYS[2]":                               {"its header has no line on KEYS[2]"},
		"return ARGV[3]":                               {"its header has no line on ARGV[3]"},
		"return ARGV[2 * i]":                           {"it counts places: ARGV[2 *"},
	} {
		require.Equal(t, faults, headerFaults(whole+code, false), code)
	}
	require.Equal(t, []string{"its header does not say what it Answers", "its header has nothing on ARGV"}, headerFaults("-- Does it.\n\nreturn #ARGV", false))
	require.Contains(t, headerFaults("return 1", false), "no comment at its beginning")
	library := "--- @include lua/lib/other.lua\n\n-- one is the first of ARGV.\nlocal function one(ARGV) return ARGV[1] end"
	require.Equal(t, []string{"its header has no line on ARGV[1]"}, headerFaults(library, true))
	require.Empty(t, headerFaults("-- What every script begins with.\n-- KEYS[1] key\nlocal key = KEYS[1]", true))
}
