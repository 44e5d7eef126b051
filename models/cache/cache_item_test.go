package cache

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// TestValuesOfAnotherShapeAreReplaced has JSON in Redis that decodes, and is no user for all that.
func TestValuesOfAnotherShapeAreReplaced(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		c := users(open(t, rdb), newTable(map[int64]user{7: {"Ann"}}), func(cfg *Config[int64, user]) {
			cfg.Valid = func(id int64, u user) bool { return id == 7 && u.Name != "" }
		})
		for _, poison := range []string{"null", " null ", "{}", `{"nome":"Ann"}`, `{"name":null}`} {
			for _, read := range []func() (user, error){
				func() (user, error) { return c.Get(t.Context(), 7) },
				func() (user, error) {
					found, err := c.GetMany(t.Context(), []int64{7})
					return found[7], err
				},
			} {
				require.NoError(t, rdb.Set(t.Context(), key, poison, 0).Err())
				got, err := read()
				require.NoError(t, err)
				require.Equal(t, user{"Ann"}, got, poison)
				require.Equal(t, `{"name":"Ann"}`, rdb.Get(t.Context(), key).Val())
			}
		}
		require.NoError(t, rdb.Set(t.Context(), key, "-1", 0).Err())
		_, err := c.Get(t.Context(), 7)
		require.ErrorIs(t, err, ErrNull, "which any value may be")
	})
}

func TestListsOfAnotherShapeAreReplaced(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	l := NewList(open(t, rdb), ListConfig[user]{
		Name: "users", Key: "everybody",
		Load:  func(context.Context) ([]user, error) { return []user{{"Ann"}}, nil },
		Valid: func(u user) bool { return u.Name != "" },
	})
	for _, poison := range []string{"-1", "null", "{}", "[null]", "[{}]", `[{"name":"Ann"},7]`, `[{"name":"Ann"},{}]`} {
		require.NoError(t, rdb.Set(t.Context(), "everybody", poison, 0).Err())
		got, err := l.Get(t.Context())
		require.NoError(t, err, poison)
		require.Equal(t, []user{{"Ann"}}, got, poison)
		data, _, err := l.Encoded(t.Context())
		require.NoError(t, err)
		require.Equal(t, `[{"name":"Ann"}]`, string(data))
		require.Equal(t, `[{"name":"Ann"}]`, rdb.Get(t.Context(), "everybody").Val())
	}
}
