package cache

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// TestARefusedPublishUndoesNothing: a user that may not publish changes values all the same.
func TestARefusedPublishUndoesNothing(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	admin := connect(t, server.URL(0))
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "limited", "on", ">secret", "~*", "+@all", "resetchannels").Err())
	u, err := url.Parse(server.URL(0))
	require.NoError(t, err)
	u.User = url.UserPassword("limited", "secret")
	s, err := NewStore(connect(t, u.String()), StoreOptions{})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	ctx, entries := t.Context(), []entry{{key: "k", message: "c k"}}

	for _, drop := range []bool{false, true} {
		done, err := s.takeOver(ctx, "", "token", entries, drop, 0)
		require.NoError(t, err)
		require.Equal(t, []bool{true}, done)
		done, err = s.fill(ctx, "", "token", []filling{{entry: entries[0], value: raw(`1`), expiry: time.Minute}}, true)
		require.NoError(t, err)
		require.Equal(t, []bool{true}, done)
	}
	require.Equal(t, "1", admin.Get(ctx, "k").Val())
	done, err := s.invalidate(ctx, "task", entries, 0)
	require.NoError(t, err)
	require.Equal(t, []bool{true}, done)
	require.Zero(t, admin.Exists(ctx, "k").Val())
}
