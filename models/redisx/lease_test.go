package redisx

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

func TestALeaseHasOneHolder(t *testing.T) {
	t.Parallel()
	acquire := LoadScript(fstest.MapFS{"acquire.lua": {Data: []byte(`--- @include redisx/lease.lua
return acquire_lease(KEYS[1], ARGV[1], ARGV[2]) and 1 or 0
`)}}, "acquire.lua")
	for name, addr := range map[string]string{
		"redis":    testenv.Redis(t).Addr,
		"embedded": miniredis.RunT(t).Addr(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, ctx := dial(t, addr, ""), t.Context()
			const lease, life = "lease", 100_000
			run := func(s *Script, args ...any) int {
				t.Helper()
				n, err := s.Run(ctx, rdb, []string{lease}, args...).Int()
				require.NoError(t, err)
				return n
			}
			one, other := NewLeaseToken(), NewLeaseToken()
			require.NotEqual(t, one, other)

			require.Equal(t, 1, run(acquire, one, life))
			require.Equal(t, 1, run(acquire, one, life), "asked twice")
			require.Zero(t, run(acquire, other, life))
			require.Zero(t, run(ExtendLease, other, life))
			require.Zero(t, run(ReleaseLease, other))
			require.Equal(t, 1, run(ExtendLease, one, life/2))
			require.LessOrEqual(t, rdb.PTTL(ctx, lease).Val(), life/2*time.Millisecond)
			require.Equal(t, 1, run(ReleaseLease, one))
			require.Equal(t, 1, run(acquire, other, life))

			for what, spoil := range map[string]func(){
				"a key of another type":   func() { rdb.LPush(ctx, lease, one) },
				"a key that does not end": func() { rdb.Set(ctx, lease, one, 0) },
				"a key that ends later":   func() { rdb.Set(ctx, lease, one, 2*life*time.Millisecond) },
			} {
				require.NoError(t, rdb.Del(ctx, lease).Err())
				spoil()
				require.Equal(t, 1, run(acquire, other, life), what)
				require.Equal(t, other, rdb.Get(ctx, lease).Val(), what)
			}
		})
	}
}
