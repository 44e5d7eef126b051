package show_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/deploy/ctl/show"
	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func terminal(width int) (show.Terminal, *bytes.Buffer) {
	var out bytes.Buffer
	return show.Terminal{Out: &out, Err: &out, Width: func() int { return width }, Height: func() int { return 24 }}, &out
}

func TestLinesAreHarmless(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain 订单 👩‍🚀": "plain 订单 👩‍🚀",
		" a\tb\r\nc ":  "a b c",
		"\x1b[2J":      `\u001b[2J`,
		"a\u202eb":     `a\u202eb`,
		"a\u200bb":     `a\u200bb`,
		"\xff":         `\xff`,
		"\ufffd":       "\ufffd",
		"\u009b31m":    `\u009b31m`,
		"a\u2028b":     `a\u2028b`,
	} {
		require.Equal(t, want, show.Line(text), "%q", text)
	}
	require.Equal(t, "a\nb\\u001b", show.Lines("\na\r\nb\x1b\n"))
}

// TestAnyTextIsHarmless: whatever comes, no line holds what moves a cursor.
func TestAnyTextIsHarmless(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(rt, "text")
		line := show.Line(text)
		require.False(rt, strings.ContainsFunc(line, unicode.IsControl), "%q", line)
		width := rapid.IntRange(0, 40).Draw(rt, "width")
		require.LessOrEqual(rt, show.Width(show.Cut(line, width)), width)
		require.LessOrEqual(rt, show.Width(show.CutFront(line, width)), width)
	})
}

func TestTablesFit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		table := show.Table{}
		columns := rapid.IntRange(1, 8).Draw(rt, "columns")
		for range columns {
			table.Columns = append(table.Columns, show.Column{
				Name: rapid.StringMatching(`[A-Z]{0,8}`).Draw(rt, "name"), Right: rapid.Bool().Draw(rt, "right"), Least: rapid.IntRange(0, 10).Draw(rt, "least"), Front: rapid.Bool().Draw(rt, "front"),
			})
		}
		for range rapid.IntRange(0, 4).Draw(rt, "rows") {
			var cells []any
			for range columns {
				cells = append(cells, rapid.StringMatching(`[a-z订单 ]{0,20}`).Draw(rt, "cell"))
			}
			table.Add(cells...)
		}
		width := rapid.IntRange(1, 120).Draw(rt, "width")
		for _, line := range table.Lines(width, func(_ show.Tone, text string) string { return text }) {
			require.LessOrEqual(rt, show.Width(line), width, "%q", line)
			require.Equal(rt, strings.TrimRight(line, "\n"), line)
		}
	})
}

func TestATable(t *testing.T) {
	t.Parallel()
	table := show.Table{Columns: []show.Column{{Name: "NAME", Least: 6}, {Name: "N", Right: true}, {Name: "ID", Least: 5, Front: true}, {Name: "LAST"}}}
	table.Add("订单队列的名字", 7, "default_0123456789", show.Cell{Text: "x", Tone: show.Bad})
	table.Add("a", 12345, "b", "")
	for width, want := range map[int]string{
		0:  "NAME                N  ID                  LAST\n订单队列的名字      7  default_0123456789  x\na               12345  b\n",
		32: "NAME          N  ID         LAST\n订单队…       7  …23456789  x\na         12345  b\n",
		23: "NAME       N ID    LAST\n订单…      7 …6789 x\na      12345 b\n",
		20: "NAME       N ID\n订单…      7 …6789\na      12345 b\n",
		3:  "NA…\n订…\na\n",
	} {
		to, out := terminal(width)
		require.NoError(t, table.Print(to))
		require.Equal(t, want, out.String(), width)
	}
	to, out := terminal(0)
	to.Colour = true
	require.NoError(t, table.Print(to))
	require.Contains(t, out.String(), "\x1b[31mx\x1b[0m")
}

func TestFieldsAreWrapped(t *testing.T) {
	t.Parallel()
	to, out := terminal(32)
	require.NoError(t, show.PrintFields(to, show.Field{Name: "error", Value: "one two three four five six seven"}, show.Field{Name: "left out"}, show.Field{Name: "id", Value: "x"}))
	require.Equal(t, "error  one two three four five\n       six seven\nid     x\n", out.String())
}

func TestTimesAndNumbers(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-1: "0s", 0: "0s", time.Microsecond: "1ms", 70 * time.Millisecond: "70ms", 1500 * time.Millisecond: "1.5s", 9999 * time.Millisecond: "9.9s", 10 * time.Second: "10s",
		time.Minute: "1m", 61 * time.Second: "1m1s", 2 * time.Hour: "2h", 125 * time.Minute: "2h5m", 49 * time.Hour: "2d1h",
	} {
		require.Equal(t, want, show.Duration(d))
	}
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.Local)
	earlier := now.Add(-90 * time.Second)
	require.Equal(t, "1m30s", show.Ago(&earlier, now))
	require.Equal(t, "now", show.Until(&earlier, now))
	require.Equal(t, "1m30s", show.Until(&now, earlier))
	require.Equal(t, []string{"-", "-", "-", ""}, []string{show.Ago(nil, now), show.Until(nil, now), show.Clock(nil, now), show.Time(nil)})
	require.Equal(t, "11:58:30", show.Clock(&earlier, now))
	yesterday := now.AddDate(0, 0, -1)
	require.Equal(t, "2026-11-30 12:00:00", show.Clock(&yesterday, now))
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		require.Equal(t, want, show.Count(n))
	}
	for n, want := range map[int64]string{0: "0B", 1023: "1023B", 1024: "1.0KiB", 1<<20 - 1: "1.0MiB", 3537390: "3.4MiB", 1 << 40: "1.0TiB"} {
		require.Equal(t, want, show.Bytes(n))
	}
	require.Equal(t, "  ▁▅█", show.Sparkline([]float64{0, 5, 10}, 5))
	require.Equal(t, "▁█", show.Sparkline([]float64{9, 0, 1}, 2))
	require.Equal(t, "▁▁", show.Sparkline([]float64{0, 0}, 2))
}

func TestProgress(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	to, out := terminal(0)
	p := show.NewProgress(to, "purging default", 1000, now)
	p.Set(10, "", now.Add(time.Second))
	require.Empty(t, out.String(), "a log gets a line now and then")
	p.Set(500, "3 failed", now.Add(10*time.Second))
	p.End()
	require.Equal(t, "purging default  50%  500 of 1,000  50/s  10s left  3 failed\n", out.String())

	to, out = terminal(80)
	to.IsErr = true
	p = show.NewProgress(to, "purging\x1b", 0, now)
	p.Set(5, "", now)
	p.End()
	p.End()
	require.Equal(t, "\r\x1b[Kpurging\\u001b 5\r\x1b[K", out.String())
}

func TestColours(t *testing.T) {
	t.Parallel()
	for env, want := range map[string]bool{"": true, "NO_COLOR=1": false, "TERM=dumb": false} {
		name, value, _ := strings.Cut(env, "=")
		require.Equal(t, want, show.Colourful(func(n string) (string, bool) {
			if n == name {
				return value, true
			}
			return "", false
		}), env)
	}
	ours, programs := testenv.Pty(t, 100, 30)
	lookup := func(string) (string, bool) { return "", false }
	to := show.Open(programs, programs, programs, lookup)
	require.True(t, to.IsIn && to.IsOut && to.IsErr && to.Colour)
	require.Equal(t, []int{100, 30}, []int{to.Width(), to.Height()})
	testenv.ResizePty(t, ours, 80, 24)
	require.Equal(t, []int{80, 24}, []int{to.Width(), to.Height()})
	to = show.Open(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}, lookup)
	require.False(t, to.IsIn || to.IsOut || to.IsErr || to.Colour)
	require.Zero(t, to.Width())
}
