package shop_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func limited(t *testing.T, more change) *system { return assembleEmbedded(t, behindAProxy, more) }

func TestAUserWritesNotTooOften(t *testing.T) {
	t.Parallel()
	s := limited(t, func(o *options) { o.Shop.WritesPerUser = 1 })
	one, other := s.login(t, mobile).Token, s.login(t, "13812345679").Token
	article := map[string]any{"title": "a", "content": "b"}
	refused := 0
	for range 30 {
		if a := s.Post("/v1/articles", article, bearer(one), inEnglish); a.Status == 429 {
			refused++
			require.NotEmpty(t, a.Header.Get("Retry-After"))
			require.Contains(t, a.Msg, "too often")
		}
	}
	require.Positive(t, refused)
	require.Equal(t, 100, s.Post("/v1/articles", article, bearer(other)).Code)
}

func TestAnAddressLogsInNotTooOften(t *testing.T) {
	t.Parallel()
	s := limited(t, func(o *options) { o.RequestsPerAddress = 1 })
	wrong := map[string]any{"mobile": mobile, "code": "123456"}
	refused := 0
	for range 30 {
		if s.Post("/v1/login", wrong, from("2001:db8::1")).Msg == "操作太频繁，请稍后再试" {
			refused++
		}
	}
	require.Positive(t, refused)
	require.Equal(t, 400, s.Post("/v1/login", wrong, from("2001:db8:0:1::1")).Code, "another network")
	for range 30 {
		require.NotEqual(t, "操作太频繁，请稍后再试", s.Post("/v1/login", wrong).Msg, "loopback")
	}
}

func TestWrongOperatorKeysAreSlowed(t *testing.T) {
	t.Parallel()
	s := limited(t, func(*options) {})
	guess := func(path, addr, key string) int { return s.Get(path, from(addr), bearer(key)).Status }
	user := s.login(t, mobile).Token
	for range 30 {
		require.Equal(t, 403, guess("/v1/schedules", "192.0.2.1", user), "that is no guess")
	}
	slowed := false
	for range 100 {
		slowed = slowed || guess("/v1/schedules", "192.0.2.1", "a-guess-at-the-key") == 429
	}
	require.True(t, slowed)
	require.Equal(t, 200, guess("/v1/schedules", "192.0.2.2", operatorKey))
}
