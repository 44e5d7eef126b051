package seckill

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOrderNumbers(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 11, 0, 0, 0, 7_000_000, time.FixedZone("", 8*3600))
	numbers, err := orderNumbers(at, 1000)
	require.NoError(t, err)
	seen := make(map[string]bool)
	for _, n := range numbers {
		require.Regexp(t, `^20261110160000007\d{12}$`, n)
		require.False(t, seen[n], n)
		seen[n] = true
	}
	require.Len(t, seen, 1000)
}
