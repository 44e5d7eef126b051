package counter

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks/profiles"
)

func timeNow() int64 { return time.Now().UnixMilli() }

func msTime(ms int64) time.Time { return time.UnixMilli(ms) }

func splitLines(text string) iter.Seq[string] { return strings.Lines(text) }

func zOf(score float64, member string) redis.Z { return redis.Z{Score: score, Member: member} }

// counting counts the scripts that a client runs.
type counting struct{ n atomic.Int64 }

func (c *counting) evals() int { return int(c.n.Load()) }

func (c *counting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c *counting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			c.n.Add(1)
		}
		return next(ctx, cmd)
	}
}

// over are the counters of a process with that store.
func (s *site) over(store *cache.Store) *Counters {
	return New(Options{DB: s.db, Store: store, Profiles: profiles.New(s.db, store), Logger: testenv.Quiet()})
}

// replica starts a replica of the Redis, and returns when it has all that this has.
func (s *site) replica(t *testing.T) redis.UniversalClient {
	t.Helper()
	host, port, _ := strings.Cut(s.server.Addr, ":")
	server := testenv.Redis(t, testenv.WithArgs("--replicaof", host, port))
	client := redis.NewClient(&redis.Options{Addr: server.Addr, DB: 2})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	require.Eventually(t, func() bool {
		return client.ZCard(t.Context(), Articles.Key()).Val() == s.rdb.ZCard(t.Context(), Articles.Key()).Val()
	}, patience, 20*time.Millisecond)
	return client
}

// top is EncodedTop, decoded.
func (c *Counters) top(ctx context.Context, k Kind, n int) ([]Ranked, error) {
	data, _, err := c.EncodedTop(ctx, k, n)
	if err != nil {
		return nil, err
	}
	var lines []Ranked
	return lines, json.Unmarshal(data, &lines)
}
