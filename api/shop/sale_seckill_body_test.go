package shop

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestPlainBodyReadsAsDecoded: what the short way accepts, the long way reads the same.
func TestPlainBodyReadsAsDecoded(t *testing.T) {
	check, err := newChecker()
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.OneOf(
			rapid.StringMatching(`\{"goods_id":[0-9]{1,20}\}`),
			rapid.StringMatching(`\{ ?"(goods_id|name|GOODS_ID)" ?: ?(-?[0-9]{1,20}|"[a-z1]{0,3}"|null|1e3|1\.0)(, ?"name":"x")? ?\}?`),
			rapid.String(),
		).Draw(t, "raw")
		var plain, decoded seckillBody
		if !plain.readPlain([]byte(raw)) {
			require.Zero(t, plain)
			return
		}
		require.NoError(t, decode([]byte(raw), &decoded))
		require.NoError(t, check.Struct(decoded))
		require.Equal(t, decoded, plain)
	})
	var b seckillBody
	require.True(t, b.readPlain([]byte(`{"goods_id":123456789012345678}`)))
	require.EqualValues(t, 123456789012345678, *b.GoodsID)
	require.False(t, b.readPlain([]byte(`{"goods_id":0}`)))
	require.False(t, b.readPlain([]byte(`{"goods_id":9223372036854775807}`)), "left to the long way")
}
