package seckill

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestUserSetIsASet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.Int64Range(1, 50), rapid.Int64Range(1, math.MaxInt64))
		users := rapid.SliceOf(id).Draw(t, "users")
		in := make(map[int64]bool)
		for _, u := range users {
			in[u] = true
		}
		s := newUserSet(len(in))
		for _, u := range users {
			require.True(t, s.add(u))
		}
		require.Equal(t, len(in), s.n)
		for _, u := range append(rapid.SliceOf(id).Draw(t, "others"), users...) {
			require.Equal(t, in[u], s.has(u), u)
		}
	})
}

func TestUserSetHasARoomAtLeast(t *testing.T) {
	t.Parallel()
	for n := range 100 {
		s := newUserSet(n)
		added := int64(0)
		for s.add(added + 1) {
			added++
		}
		require.GreaterOrEqual(t, added, int64(n))
		require.LessOrEqual(t, added, int64(2*n+1))
		require.False(t, s.has(added+1))
	}
}
