package visible_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/visible"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"a", "键盘", "周年庆 50%", "é", "e\u0301", "👍🏽", "❤️", "👨\u200d👩\u200d👧", "👩🏽\u200d⚕️", "a\u3000b", "می\u200cخواهم", "क्\u200dष", "葛\U000e0100", "…", "₿",
		"ᠠ\u180eᠡ", "\U0001fae9", // an emoji that is newer than the tables
	} {
		require.True(t, visible.Line(s), "%q", s)
	}
	for _, s := range []string{
		"", " ", "\u3000", "a\nb", "a\x00", "a\x7f", "a\u0085b", "\xff",
		"\u200b", "a\u200bb", "\ufeffa", "soft\u00adhyphen", "a\u2060b", "a\u2064b",
		"\u202egnp.exe", "a\u202d", "\u2066a\u2069", "a\u200f", "a\u200e", "\u061ca",
		"a\u2028b", "a\u2029b", "\u3164", "\u115f\u1160", "\uffa0", "\u2800", "\u034f", "\ufe0f", "\u0301",
		"\u200d", "\u200c", "a\u200db", "a\u200cb", "👍\u200d", "\u200d👍", "👍\u200d\u200d👍", "می\u200c", "a\U000e0041", "\U000e0001",
		"a\u180eb", "a\ufff9b", "a\u034fb",
	} {
		require.False(t, visible.Line(s), "%q", s)
	}
}

func TestHiddenLetsBlanksPass(t *testing.T) {
	t.Parallel()
	require.False(t, visible.Hidden(""))
	require.False(t, visible.Hidden("  "))
	require.False(t, visible.Shown("  "))
}
