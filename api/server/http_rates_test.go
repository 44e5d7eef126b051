package server_test

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// from makes the request come from the address, through a proxy that is trusted.
func from(addr string) with { return header("X-Forwarded-For", addr) }

func behindAProxy(o *options) {
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
}

// TestAnAddressSendsNotTooMany counts what has a rate of any kind, and nothing else.
func TestAnAddressSendsNotTooMany(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, behindAProxy, func(o *options) { o.RequestsPerAddress = 1 })
	order := func(addr, user string) int { return s.Post("/v1/orders", nil, from(addr), bearer("user-"+user)).Status }
	refused := 0
	for i := 0; i < 30 || refused == 0; i++ { // a slow machine gives them time
		if order("2001:db8::1", "u"+strconv.Itoa(i)) == 429 {
			refused++
		}
		require.Equal(t, 200, s.Get("/v1/goods", from("2001:db8::1")).Status)
	}
	require.Positive(t, refused)
	require.Equal(t, 200, order("2001:db8:0:1::1", "a"), "another network")
}

// TestWrongOperatorKeysAreSlowed, and neither the token of a user nor that of an operator by Identify is one.
func TestWrongOperatorKeysAreSlowed(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, behindAProxy)
	guess := func(path, addr, key string) int { return s.Get(path, from(addr), bearer(key)).Status }
	for range 30 {
		require.Equal(t, 403, guess("/v1/schedules", "192.0.2.1", "user-ann"))
		require.Equal(t, 200, guess("/v1/schedules", "192.0.2.1", "root"))
	}
	slowed := false
	for range 100 {
		slowed = slowed || guess("/v1/tasks/unknown", "192.0.2.1", "a-guess-at-the-key") == 429
	}
	require.True(t, slowed)
	require.Equal(t, 429, guess("/v1/schedules", "192.0.2.1", operatorKey), "the right key tells nothing then")
	require.Equal(t, 200, guess("/v1/schedules", "192.0.2.2", operatorKey))
}
