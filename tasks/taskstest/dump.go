package taskstest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Dump is everything that a Redis holds, one key after the other, each with its value. A kind of value that it does not
// know fails the test.
func Dump(t testing.TB, rdb redis.UniversalClient) string {
	t.Helper()
	var b strings.Builder
	ctx := t.Context()
	keys, err := rdb.Keys(ctx, "*").Result()
	require.NoError(t, err)
	for _, key := range keys {
		kind, err := rdb.Type(ctx, key).Result()
		require.NoError(t, err)
		var value any
		switch kind {
		case "string":
			value, err = rdb.Get(ctx, key).Result()
		case "hash":
			value, err = rdb.HGetAll(ctx, key).Result()
		case "list":
			value, err = rdb.LRange(ctx, key, 0, -1).Result()
		case "set":
			value, err = rdb.SMembers(ctx, key).Result()
		case "zset":
			value, err = rdb.ZRangeWithScores(ctx, key, 0, -1).Result()
		case "stream":
			value, err = rdb.XRange(ctx, key, "-", "+").Result()
		case "none": // it has expired
			continue
		default:
			t.Fatalf("%s is a %s", key, kind)
		}
		if err != redis.Nil {
			require.NoError(t, err, key)
		}
		fmt.Fprintf(&b, "%s = %v\n", key, value)
	}
	return b.String()
}
