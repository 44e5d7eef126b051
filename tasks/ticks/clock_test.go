package ticks_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/tasks/ticks"
)

const stateOfA = "paidui:{schedules}:entry:a"

// What the scripts ask of Redis, every kind of it has.
func TestOnEveryRedis(t *testing.T) {
	t.Parallel()
	for name, connect := range map[string]func(*testing.T) redis.UniversalClient{
		"one server": func(t *testing.T) redis.UniversalClient { _, rdb := open(t); return rdb },
		"cluster":    func(t *testing.T) redis.UniversalClient { return taskstest.Broker(t, testenv.RedisCluster(t)).Redis() },
		"embedded":   func(t *testing.T) redis.UniversalClient { return taskstest.Embedded(t).Redis() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := connect(t)
			s := ticks.NewStore(rdb)
			t.Run("clock", func(t *testing.T) { requireClock(t, s) })
			t.Run("steps", func(t *testing.T) { requireSteps(t, s) })
			t.Run("early", func(t *testing.T) { requireEarly(t, s) })
			t.Run("healing", func(t *testing.T) { requireHealing(t, s, rdb) })
		})
	}
}

func requireClock(t *testing.T, s *ticks.Store) {
	before := time.Now().Truncate(time.Microsecond)
	clock, err := s.Clock(t.Context())
	require.NoError(t, err)
	require.False(t, clock.Before(before), "%v before %v", clock, before)
	require.False(t, clock.After(time.Now()))
}

func requireSteps(t *testing.T, s *ticks.Store) {
	ctx := t.Context()
	presence, err := s.Heartbeat(ctx, "h")
	require.NoError(t, err)
	require.Equal(t, ticks.Vacant, presence)
	announce(t, s, plan("h", entry("a", "r"), entry("b", "r"), entry("gone", "r")), start)
	require.True(t, announce(t, s, plan("h", entry("a", "r"), entry("b", "r")), start).InForce)
	presence, err = s.Heartbeat(ctx, "h")
	require.NoError(t, err)
	require.Equal(t, ticks.InForce, presence)

	tick := start.Add(time.Minute)
	answer, claim := begin(t, s, "h", "r", tick)
	require.Equal(t, ticks.Go, answer)
	require.Len(t, announce(t, s, plan("h2", entry("a", "r2"), entry("b", "r2")), start).Open, 1)
	first, err := s.Settle(ctx, "a", tick, claim.TaskID, tick.Add(time.Minute))
	require.NoError(t, err)
	require.True(t, first)
	answer, _, err = s.Pass(ctx, "h", "r", "b", tick, tick.Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, ticks.Settled, answer)
	for _, name := range []string{"a", "b"} {
		last, err := s.LastSettled(ctx, name)
		require.NoError(t, err)
		require.Equal(t, tick, last)
	}
	list, err := s.List(ctx)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "id-1201", list[0].LastTaskID)
}

// A tick ahead of Redis's clock is refused, and leaves no trace.
func requireEarly(t *testing.T, s *ticks.Store) {
	now := time.Now().Truncate(time.Second)
	settled := announce(t, s, plan("h", entry("a", "early")), now.Add(-time.Minute)).Settled["a"]
	require.Equal(t, now.Add(-time.Minute).UTC(), settled)
	hourAhead := now.Add(time.Hour)
	answer, _ := begin(t, s, "h", "early", hourAhead)
	require.Equal(t, ticks.Early, answer)
	answer, _, err := s.Pass(t.Context(), "h", "early", "a", hourAhead, time.Time{})
	require.NoError(t, err)
	require.Equal(t, ticks.Early, answer)
	last, err := s.LastSettled(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, settled, last)
	answer, claim := begin(t, s, "h", "early", now.Add(ticks.Tolerance))
	require.Equal(t, ticks.Go, answer)
	require.Zero(t, claim.Age)
	_, err = s.Settle(t.Context(), "a", claim.Tick, claim.TaskID, time.Time{})
	require.NoError(t, err)

	a := announce(t, s, plan("h", entry("a", "early"), entry("new", "r")), hourAhead)
	requireNow(t, a.Settled["new"])
}

// What wrong clocks have left in the future keeps nobody from ticking.
func requireHealing(t *testing.T, s *ticks.Store, rdb redis.UniversalClient) {
	ctx := t.Context()
	future := time.Now().Add(time.Hour)
	spoil := func(what ...any) {
		t.Helper()
		require.NoError(t, rdb.Del(ctx, stateOfA).Err())
		announce(t, s, plan("h", entry("a", "r")), time.Now().Add(-time.Minute))
		require.NoError(t, rdb.HSet(ctx, stateOfA, what...).Err())
	}
	settled := []any{"settled", future.Unix()}
	claimed := []any{"claim", future.Unix(), "claim_id", "x", "claim_queue", "q", "claim_at", time.Now().Unix()}

	spoil(settled...)
	requireNow(t, announce(t, s, plan("h", entry("a", "r")), time.Now()).Settled["a"])
	spoil(append(settled, claimed...)...)
	a := announce(t, s, plan("h2", entry("a", "other")), time.Now())
	require.True(t, a.InForce, "the claim is no open one")
	requireNow(t, a.Settled["a"])

	spoil(settled...)
	last, err := s.LastSettled(ctx, "a")
	require.NoError(t, err)
	requireNow(t, last)

	spoil(append(settled, claimed...)...)
	answer, _ := begin(t, s, "h", "r", time.Now().Add(-2*time.Second))
	require.Equal(t, ticks.Settled, answer)
	spoil(settled...)
	answer, claim := begin(t, s, "h", "r", time.Now().Add(2*time.Second))
	require.Equal(t, ticks.Go, answer)
	require.NotEqual(t, "x", claim.TaskID)
	spoil(claimed...)
	answer, claim = begin(t, s, "h", "r", time.Now())
	require.Equal(t, ticks.Go, answer)
	require.NotEqual(t, "x", claim.TaskID)
	spoil(claimed...)
	answer, _, err = s.Pass(ctx, "h", "r", "a", time.Now(), time.Time{})
	require.NoError(t, err)
	require.Equal(t, ticks.Settled, answer)
	last, err = s.LastSettled(ctx, "a")
	require.NoError(t, err)
	requireNow(t, last)
}

func requireNow(t *testing.T, got time.Time) {
	t.Helper()
	require.WithinDuration(t, time.Now(), got, 30*time.Second)
}
