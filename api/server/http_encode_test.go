package server

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// anyText draws text with all that JSON has to escape, and bytes that are not UTF-8.
func anyText() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"秒杀", "<b>&amp;", `"\/`, "\u2028", "\u2029", "\x00\x1f\x7f\b\f\n\r\t", "\xff", "\xe7\xa7", "\ufffd", "😀"}),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 4), func(b []byte) string { return string(b) }),
	)
	return rapid.Custom(func(t *rapid.T) string {
		return piece.Draw(t, "a") + piece.Draw(t, "b") + piece.Draw(t, "c")
	})
}

func TestEnvelopesAreWrittenAsEncodingJSONDoes(t *testing.T) {
	t.Parallel()
	data := rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Map(anyText(), func(s string) any { return s }),
		rapid.Map(anyText(), func(s string) any { return Identity{User: s, Value: s} }),
		rapid.Map(anyText(), func(s string) any { return map[string]any{s: []any{1, s, nil}} }),
		rapid.Just[any](json.RawMessage(`{ "a" : "<" }`)),
	)
	rapid.Check(t, func(t *rapid.T) {
		e := envelope{
			Code: rapid.Int().Draw(t, "code"), Msg: anyText().Draw(t, "msg"), Data: data.Draw(t, "data"),
			TaskID: anyText().Draw(t, "id"), Field: anyText().Draw(t, "field"),
		}
		var want bytes.Buffer
		require.NoError(t, json.NewEncoder(&want).Encode(e))
		got, err := e.appendTo([]byte("before "))
		require.NoError(t, err)
		require.Equal(t, "before "+want.String(), string(got))
		if e.Data != nil {
			raw, err := json.Marshal(e.Data)
			require.NoError(t, err)
			e.Data = Raw(raw)
			got, err = e.appendTo(nil)
			require.NoError(t, err)
			require.Equal(t, want.String(), string(got))
		}
	})
}

func TestWhatHasNoJSONIsAnError(t *testing.T) {
	t.Parallel()
	_, err := envelope{Data: math.Inf(1)}.appendTo(nil)
	require.ErrorContains(t, err, "float64")
}
