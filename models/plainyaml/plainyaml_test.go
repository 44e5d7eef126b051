package plainyaml

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
	"github.com/stretchr/testify/require"
)

// value is the value of the key a, which the text has alone.
func value(t *testing.T, text string) ast.Node {
	t.Helper()
	root, problems := Parse([]byte(text))
	require.Empty(t, problems)
	mapping, ok := root.(*ast.MappingNode)
	require.True(t, ok, "%T", root)
	require.Len(t, mapping.Values, 1)
	return mapping.Values[0].Value
}

func TestNumbersHaveOneForm(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0": "", "5": "", "-5": "", "1200": "", "0.5": "", "-10.25": "", "1.0e300": "", "1.5E-3": "",
		"9223372036854775807": "", "18446744073709551615": "", "-9223372036854775808": "",
		"10s": "", "1h30m": "", "1.2.3": "", "10.0.0.0/8": "", "127.0.0.1:8000": "", "2026-01-01": "", "0x": "", "1e": "", "7d": "",
		"010":                   `010 is no plain number: write 10, or 8, or "010" if it is text`,
		"-010":                  `-010 is no plain number: write -10, or -8, or "-010" if it is text`,
		"08":                    `08 is no plain number: write 8, or "08" if it is text`,
		"00":                    `00 is no plain number: write 0, or "00" if it is text`,
		"-0":                    `-0 is no plain number: write 0, or "-0" if it is text`,
		"+5":                    `+5 is no plain number: write 5, or "+5" if it is text`,
		"0x10":                  `0x10 is no plain number: write 16, or "0x10" if it is text`,
		"0o7":                   `0o7 is no plain number: write 7, or "0o7" if it is text`,
		"0b11":                  `0b11 is no plain number: write 3, or "0b11" if it is text`,
		"1_000":                 `1_000 is no plain number: write 1000, or "1_000" if it is text`,
		"1_0.5":                 `1_0.5 is no plain number: write 10.5, or "1_0.5" if it is text`,
		".5":                    `.5 is no plain number: write 0.5, or ".5" if it is text`,
		"5.":                    `5. is no plain number: write 5, or "5." if it is text`,
		"01.5":                  `01.5 is no plain number: write 1.5, or "01.5" if it is text`,
		"1e3":                   `1e3 is no plain number: write 1000, or "1e3" if it is text`,
		"1e300":                 `1e300 is no plain number: write 1.0e+300, or "1e300" if it is text`,
		"1e9999":                `1e9999 is no plain number: write "1e9999" if it is text`,
		"123456789012345678901": `123456789012345678901 is too large for a number: write "123456789012345678901" if it is text`,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			err := CheckNumber(value(t, "a: "+text))
			if want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, want)
			}
			for _, quoted := range []string{`a: "` + text + `"`, "a: '" + text + "'", "a: |\n  " + text + "\n"} {
				node := value(t, quoted)
				require.NoError(t, CheckNumber(node), "%s is text", quoted)
				require.Equal(t, "text", Kind(node))
				got, ok := Text(node)
				require.True(t, ok)
				require.Equal(t, text, strings.TrimSpace(got))
			}
		})
	}
}

// FuzzCheckNumber holds that a number in plain form is the one that JSON and YAML read.
func FuzzCheckNumber(f *testing.F) {
	for _, seed := range []string{"0", "-1", "1.5", "1.0e5", "010", "0x1", "1_0", "abc", "-", "1e5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, problems := Parse([]byte("a: " + text))
		mapping, ok := root.(*ast.MappingNode)
		if len(problems) > 0 || !ok || len(mapping.Values) != 1 {
			return
		}
		node := mapping.Values[0].Value
		if CheckNumber(node) != nil {
			return
		}
		if number, ok := node.(*ast.IntegerNode); ok {
			want, err := json.Marshal(number.Value)
			require.NoError(t, err)
			require.Equal(t, string(want), number.GetToken().Value)
		}
		if number, ok := node.(*ast.FloatNode); ok {
			require.True(t, json.Valid([]byte(number.GetToken().Value)), number.GetToken().Value)
		}
	})
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: x": "text", "a: [1]": "a list", "a: {b: 1}": "a mapping", "a:\n  b: 1": "a mapping", "a:": "nothing", "a: null": "nothing",
		"a: 5": "5", "a: 1.5": "1.5", "a: true": "true", "a: .inf": ".inf", "a: .nan": ".nan",
	} {
		require.Equal(t, want, Kind(value(t, text)), text)
	}
	_, ok := Text(value(t, "a: [1]"))
	require.False(t, ok)
	require.Equal(t, 3, Line(value(t, "\na:\n  b: 1\n  c: 2\n")))
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []Problem // the beginnings of the messages
	}{
		"tabs":              {"a:\n\t1\n\t# x\n \t\nb:\n \tc", []Problem{{2, "a tab cannot indent"}, {3, "a tab cannot indent"}, {6, "a tab cannot indent"}}},
		"not UTF-8":         {"a: 1\n# \xff\n", []Problem{{2, "is not UTF-8"}}},
		"a tag":             {"a: 1\nb: !!str 5\n", []Problem{{2, "tags (!!str) are not supported"}}},
		"an anchor":         {"a: &x 1\n", []Problem{{1, "anchors and aliases"}}},
		"an alias":          {"a: *x\n", []Problem{{1, "anchors and aliases"}}},
		"a merge key":       {"a: 1\n<<: {b: 1}\n", []Problem{{2, "merge keys"}}},
		"an open bracket":   {"a: 1\nb: [c\n", []Problem{{2, "is not YAML: "}}},
		"an open quote":     {"a: \"b\n", []Problem{{1, "is not YAML: "}}},
		"two documents":     {"a: 1\n---\na: 1\n", []Problem{{3, "a second document"}}},
		"too large":         {strings.Repeat("# comment\n", MaxSize/10+1), []Problem{{0, "is larger than 1048576 bytes"}}},
		"200,000 brackets":  {strings.Repeat("[", 200_000), []Problem{{0, "has more than 50000"}}},
		"brackets":          {"a: 1\nb: " + strings.Repeat("[", 40_000), []Problem{{2, "is nested deeper than 64"}}},
		"closed brackets":   {strings.Repeat("[", 65) + strings.Repeat("]", 65), []Problem{{1, "is nested deeper than 64"}}},
		"braces":            {strings.Repeat("{a: ", 10_000), []Problem{{1, "is nested deeper than 64"}}},
		"braces and lines":  {strings.Repeat("{a:\n", 65), []Problem{{65, "is nested deeper than 64"}}},
		"lists in one line": {strings.Repeat("- ", 40_000), []Problem{{1, "is nested deeper than 64"}}},
		"explicit keys":     {strings.Repeat("? ", 40_000), []Problem{{1, "is nested deeper than 64"}}},
		"tags":              {strings.Repeat("!a ", 40_000), []Problem{{1, "tags"}}},
		"many lines":        {strings.Repeat("- a\n", 30_000), []Problem{{0, "has more than 50000"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, problems := Parse([]byte(c.text))
			require.Nil(t, root)
			require.Len(t, problems, len(c.want), "%v", problems)
			for i, want := range c.want {
				require.Equal(t, want.Line, problems[i].Line)
				require.True(t, strings.HasPrefix(problems[i].Msg, want.Msg), problems[i].Msg)
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "# only a comment\n", "---\n", "\ufeff"} {
		root, problems := Parse([]byte(text))
		require.Empty(t, problems, "%q", text)
		require.Nil(t, root, "%q", text)
	}
	for _, text := range []string{
		"\ufeffa: 1", "# comment\n---\na: 1\n", "a: 'it''s * and & and !'", "a: 2 * 3 & 4",
		"a: " + strings.Repeat("[", 64) + strings.Repeat("]", 64),
		"a:\n" + strings.Repeat("- {b: [1, 2]}\n", 4_000),
	} {
		root, problems := Parse([]byte(text))
		require.Empty(t, problems, "%.40q", text)
		require.NotNil(t, root)
	}
}
