package counter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestForeignLeasesHoldNobody has keys where the lease should be that do not end as leases do.
func TestForeignLeasesHoldNobody(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		ctx, user := t.Context(), s.users(t, 1)[0]
		s.publish(t, user, 2)
		for name, spoil := range map[string]func() error{
			"for ever": func() error { return s.rdb.Set(ctx, leaseKey(user), "token", 0).Err() },
			"for long": func() error { return s.rdb.Set(ctx, leaseKey(user), "token", time.Hour).Err() },
			"a list":   func() error { return s.rdb.RPush(ctx, leaseKey(user), "token").Err() },
		} {
			require.NoError(t, s.rdb.Del(ctx, CountsKey(user)).Err())
			require.NoError(t, s.rdb.Del(ctx, leaseKey(user)).Err())
			require.NoError(t, spoil())
			counts, err := s.counters.Of(ctx, user)
			require.NoError(t, err, name)
			require.Equal(t, Counts{Articles: 2}, counts, name)
			require.Equal(t, "2", s.rdb.HGet(ctx, CountsKey(user), string(Articles)).Val(), "%s: it is cached", name)
		}
	})
}
