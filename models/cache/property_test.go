package cache

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/deploy/testenv"
)

// TestNoOldValueStays interleaves, step by step, readers, writers of all strategies, their tasks, redelivered ones too,
// refreshers, deaths, what expires, commands that Redis gets twice, and the loss of all that Redis holds. Whenever every
// committed write has been applied, the cache holds nothing or the committed value.
func TestNoOldValueStays(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, rdb redis.UniversalClient, steps int) {
		s := open(t, rdb)
		s.backends.primary.timeout = time.Minute // the machine may be busy
		rapid.Check(t, func(rt *rapid.T) {
			m := newMachine(t, rdb, leases{s}, func(what string, n int) int { return evenly(rt, what, n) })
			if wrong := m.run(steps); wrong != "" {
				rt.Fatal(wrong)
			}
		})
	}
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		check(t, connect(t, "redis://"+miniredis.RunT(t).Addr()), 60)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		check(t, connect(t, testenv.RedisURL(t)), 200)
	})
}

// evenly draws a number below n, each as likely as the others; rapid itself prefers small numbers.
func evenly(rt *rapid.T, what string, n int) (chosen int) {
	for _, bit := range rapid.SliceOfN(rapid.Bool(), 8, 8).Draw(rt, what) {
		chosen *= 2
		if bit {
			chosen++
		}
	}
	return chosen % n
}

// TestClassicDeleteOnWriteLeavesOldValues shows that the machine is able to find the race that leases close.
func TestClassicDeleteOnWriteLeavesOldValues(t *testing.T) {
	t.Parallel()
	rdb := connect(t, "redis://"+miniredis.RunT(t).Addr())
	shortest := ""
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, seed))
		wrong := newMachine(t, rdb, classic{}, func(_ string, n int) int { return rng.IntN(n) }).run(60)
		if wrong != "" && (shortest == "" || len(wrong) < len(shortest)) {
			shortest = wrong
		}
	}
	require.Contains(t, shortest, "is committed")
	require.Less(t, strings.Count(shortest, "\n"), 60)
	t.Log(shortest)
}
