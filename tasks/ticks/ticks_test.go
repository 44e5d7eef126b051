package ticks_test

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/ticks"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var start = time.Date(2025, 7, 1, 12, 0, 0, 0, time.UTC)

func open(t testing.TB) (*ticks.Store, *redis.Client) {
	t.Helper()
	opt, err := redis.ParseURL(testenv.RedisURL(t))
	require.NoError(t, err)
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { _ = rdb.Close() }) // TestRedisAway has closed it
	return ticks.NewStore(rdb), rdb
}

func entry(name, rule string) ticks.Entry {
	return ticks.Entry{Name: name, Task: "demo.add", Queue: "low", Spec: "every 1m", Timezone: "UTC", Rule: rule, Next: start.Add(time.Minute)}
}

func plan(hash string, entries ...ticks.Entry) ticks.Plan {
	return ticks.Plan{Hash: hash, Entries: entries}
}

func announce(t rapid.TB, s *ticks.Store, p ticks.Plan, now time.Time) ticks.Announcement {
	t.Helper()
	a, err := s.Announce(context.Background(), p, now, false)
	require.NoError(t, err)
	return a
}

func begin(t rapid.TB, s *ticks.Store, hash, rule string, tick time.Time) (ticks.ClaimAnswer, ticks.Claim) {
	t.Helper()
	answer, claim, err := s.Begin(context.Background(), hash, rule, ticks.Claim{Entry: "a", Tick: tick, TaskID: "id-" + tick.Format("1504"), Queue: "low"})
	require.NoError(t, err)
	return answer, claim
}

func TestATickFromBeginToEnd(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	ctx := t.Context()
	list, err := s.List(ctx)
	require.NoError(t, err)
	require.Empty(t, list)
	a := announce(t, s, plan("h", entry("a", "r"), entry("b", "r")), start)
	require.True(t, a.InForce)
	require.Equal(t, map[string]time.Time{"a": start, "b": start}, a.Settled)
	require.Len(t, a.Secret, 26)

	tick := start.Add(time.Minute)
	answer, claim := begin(t, s, "h", "r", tick)
	require.Equal(t, ticks.Go, answer)
	require.Equal(t, ticks.Claim{Entry: "a", Tick: tick, TaskID: "id-1201", Queue: "low"}, claim)

	// Whoever comes next with the same tick is given the first one's id and queue.
	answer, second, err := s.Begin(ctx, "h", "r", ticks.Claim{Entry: "a", Tick: tick, TaskID: "other", Queue: "else"})
	require.NoError(t, err)
	require.Equal(t, ticks.Go, answer)
	require.Equal(t, claim.TaskID, second.TaskID)
	require.Equal(t, claim.Queue, second.Queue)

	first, err := s.Settle(ctx, "a", tick, claim.TaskID, tick.Add(time.Minute))
	require.NoError(t, err)
	require.True(t, first)
	first, err = s.Settle(ctx, "a", tick, claim.TaskID, tick.Add(time.Minute))
	require.NoError(t, err)
	require.False(t, first)
	for _, old := range []time.Time{tick, start, start.Add(-time.Hour)} {
		answer, _ = begin(t, s, "h", "r", old)
		require.Equal(t, ticks.Settled, answer)
	}

	list, err = s.List(ctx)
	require.NoError(t, err)
	next, nextOfB := tick.Add(time.Minute), tick
	require.Equal(t, []ticks.Status{
		{Name: "a", Task: "demo.add", Queue: "low", Spec: "every 1m", Timezone: "UTC", NextTick: &next, LastTick: &tick, LastTaskID: "id-1201"},
		{Name: "b", Task: "demo.add", Queue: "low", Spec: "every 1m", Timezone: "UTC", NextTick: &nextOfB},
	}, list)
	encoded, err := json.Marshal(list[1])
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"b","task":"demo.add","queue":"low","spec":"every 1m","timezone":"UTC","paused":false,
		"next_tick":"2025-07-01T12:01:00Z","last_tick":null,"last_task_id":""}`, string(encoded))
}

func TestNobodyGetsPastAnOpenClaim(t *testing.T) {
	t.Parallel()
	s, rdb := open(t)
	ctx := t.Context()
	announce(t, s, plan("h", entry("a", "r")), start)
	first, second := start.Add(time.Minute), start.Add(2*time.Minute)
	begin(t, s, "h", "r", first)
	require.NoError(t, rdb.HIncrBy(ctx, "paidui:{schedules}:entry:a", "claim_at", -90).Err())

	answer, claim := begin(t, s, "h", "r", second)
	require.Equal(t, ticks.InDoubt, answer)
	require.Equal(t, first, claim.Tick)
	require.InDelta(t, 90, claim.Age.Seconds(), 30)

	answer, claim, err := s.Pass(ctx, "h", "r", "a", second, time.Time{})
	require.NoError(t, err)
	require.Equal(t, ticks.InDoubt, answer)
	require.Equal(t, first, claim.Tick)

	a := announce(t, s, plan("h2", entry("a", "other")), start)
	require.False(t, a.InForce)
	require.Len(t, a.Open, 1)
	require.Equal(t, "id-1201", a.Open[0].TaskID)
	answer, _ = begin(t, s, "h2", "other", second)
	require.Equal(t, ticks.Superseded, answer, "the announcement changed nothing")

	_, err = s.Settle(ctx, "a", first, claim.TaskID, second)
	require.NoError(t, err)
	require.True(t, announce(t, s, plan("h2", entry("a", "other")), start).InForce)
	answer, _ = begin(t, s, "h2", "other", second)
	require.Equal(t, ticks.Go, answer)
	answer, _ = begin(t, s, "h2", "other", first)
	require.Equal(t, ticks.Settled, answer, "an older tick was passed over")
}

func TestPass(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	announce(t, s, plan("h", entry("a", "r")), start)
	upTo := start.Add(5 * time.Minute)
	answer, _, err := s.Pass(t.Context(), "h", "r", "a", upTo, upTo.Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, ticks.Settled, answer)
	last, err := s.LastSettled(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, upTo, last)
	list, err := s.List(t.Context())
	require.NoError(t, err)
	require.Nil(t, list[0].LastTick, "nothing was enqueued")
	require.Equal(t, upTo.Add(time.Minute), *list[0].NextTick)
	answer, _, err = s.Pass(t.Context(), "other", "r", "a", upTo.Add(time.Minute), time.Time{})
	require.NoError(t, err)
	require.Equal(t, ticks.Superseded, answer)
}

func TestAnnounceKeepsStartsAndForgets(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	secret := announce(t, s, plan("1", entry("same", "r"), entry("changed", "r"), entry("gone", "r")), start).Secret
	later := start.Add(time.Hour)
	paused := ticks.Entry{Name: "paused", Task: "demo.add", Queue: "low", Rule: "paused", Paused: true}
	a := announce(t, s, plan("2", entry("same", "r"), entry("changed", "r2"), entry("new", "r"), paused), later)
	require.Equal(t, map[string]time.Time{"same": start, "changed": later, "new": later, "paused": later}, a.Settled)
	require.Equal(t, secret, a.Secret)
	list, err := s.List(t.Context())
	require.NoError(t, err)
	names := make([]string, 0, len(list))
	for _, st := range list {
		names = append(names, st.Name)
		require.Equal(t, st.Paused, st.NextTick == nil)
	}
	require.Equal(t, []string{"changed", "new", "paused", "same"}, names)
	last, err := s.LastSettled(t.Context(), "gone")
	require.NoError(t, err)
	require.Zero(t, last)
	first, err := s.Settle(t.Context(), "gone", later, "id", time.Time{})
	require.NoError(t, err)
	require.False(t, first, "a late scheduler does not bring it back")

	a = announce(t, s, plan("3", entry("same", "r3")), start.Add(-time.Hour))
	require.Equal(t, start, a.Settled["same"], "what is settled stays so, also for a clock that is behind")
}

func TestAnnounceMakesGoodWhatRedisLost(t *testing.T) {
	t.Parallel()
	s, rdb := open(t)
	known := entry("a", "r")
	known.Known = start.Add(-time.Minute)
	announce(t, s, plan("1", entry("a", "r")), start)
	later := start.Add(time.Hour)
	require.Equal(t, start, announce(t, s, plan("1", known), later).Settled["a"], "Redis knows better")
	require.NoError(t, rdb.FlushDB(t.Context()).Err())
	require.Equal(t, known.Known, announce(t, s, plan("1", known), later).Settled["a"])
	require.Equal(t, known.Known, announce(t, s, plan("1", entry("a", "r")), later).Settled["a"], "for all schedulers")

	require.NoError(t, rdb.FlushDB(t.Context()).Err())
	announce(t, s, plan("1"), start)
	require.Equal(t, later, announce(t, s, plan("2", known), later).Settled["a"], "an entry that was taken out starts anew")
	require.NoError(t, rdb.FlushDB(t.Context()).Err())
	known.Known = later.Add(time.Minute)
	require.Equal(t, known.Known, announce(t, s, plan("2", known), later).Settled["a"], "a clock that is behind repeats no tick")

	require.NoError(t, rdb.FlushDB(t.Context()).Err())
	known.Known = time.Now().Add(time.Hour)
	require.Equal(t, later, announce(t, s, plan("1", known), later).Settled["a"], "nothing is settled in the future")
}

func TestWhichScheduleIsInForce(t *testing.T) {
	t.Parallel()
	s, rdb := open(t)
	ctx := t.Context()
	presence := func(hash string) ticks.Presence {
		p, err := s.Heartbeat(ctx, hash)
		require.NoError(t, err)
		return p
	}
	silent := func(d time.Duration) {
		require.NoError(t, rdb.HSet(ctx, "paidui:{schedules}:current", "seen", time.Now().Add(-d).Unix()).Err())
	}
	require.Equal(t, ticks.Vacant, presence("old"))
	announce(t, s, plan("old", entry("a", "r")), start)
	require.Equal(t, ticks.InForce, presence("old"))
	announce(t, s, plan("new", entry("a", "r")), start)
	require.Equal(t, ticks.StandBy, presence("old"))
	answer, _ := begin(t, s, "old", "r", start.Add(time.Minute))
	require.Equal(t, ticks.Superseded, answer)
	answer, _ = begin(t, s, "new", "another rule", start.Add(time.Minute))
	require.Equal(t, ticks.Superseded, answer)

	a, err := s.Announce(ctx, plan("old", entry("a", "r")), start, true)
	require.NoError(t, err)
	require.False(t, a.InForce, "no taking over while the other is heard")
	require.Empty(t, a.Open)
	silent(ticks.Silence / 2)
	require.Equal(t, ticks.StandBy, presence("old"))
	require.Equal(t, ticks.InForce, presence("new"))
	silent(ticks.Silence + time.Second)
	require.Equal(t, ticks.Vacant, presence("old"))
	a, err = s.Announce(ctx, plan("old", entry("a", "r")), start, true)
	require.NoError(t, err)
	require.True(t, a.InForce)
	require.Equal(t, ticks.StandBy, presence("new"))
}

// However calls of several schedulers interleave, what is settled never goes back, and each tick that is claimed is
// settled by a call that carries its id before a later one can be claimed.
func TestClaimsInterleaved(t *testing.T) {
	t.Parallel()
	s, rdb := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		require.NoError(rt, rdb.FlushDB(context.Background()).Err())
		announce(rt, s, plan("h", entry("a", "r")), start)
		var settled, claimed time.Time
		settled = start
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			tick := start.Add(time.Duration(rapid.IntRange(0, 6).Draw(rt, "tick")) * time.Minute)
			switch rapid.SampledFrom([]string{"begin", "settle", "pass"}).Draw(rt, "call") {
			case "begin":
				answer, claim := begin(rt, s, "h", "r", tick)
				switch {
				case !tick.After(settled):
					require.Equal(rt, ticks.Settled, answer)
				case claimed.IsZero():
					require.Equal(rt, ticks.Go, answer)
					claimed = tick
				case tick.Equal(claimed):
					require.Equal(rt, ticks.Go, answer)
				case tick.After(claimed):
					require.Equal(rt, ticks.InDoubt, answer)
					require.Equal(rt, claimed, claim.Tick)
				default:
					require.Equal(rt, ticks.Settled, answer)
				}
			case "settle":
				if claimed.IsZero() { // only what was claimed is ever settled
					continue
				}
				_, err := s.Settle(context.Background(), "a", claimed, "id", time.Time{})
				require.NoError(rt, err)
				settled, claimed = claimed, time.Time{}
			case "pass":
				answer, _, err := s.Pass(context.Background(), "h", "r", "a", tick, time.Time{})
				require.NoError(rt, err)
				switch {
				case !tick.After(settled):
					require.Equal(rt, ticks.Settled, answer)
				case !claimed.IsZero():
					require.Equal(rt, ticks.InDoubt, answer)
				default:
					require.Equal(rt, ticks.Settled, answer)
					settled = tick
				}
			}
			last, err := s.LastSettled(context.Background(), "a")
			require.NoError(rt, err)
			require.Equal(rt, settled, last)
		}
	})
}

func TestConcurrentSchedulersSettleOnce(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	announce(t, s, plan("h", entry("a", "r")), start)
	var firsts atomic.Int64
	var schedulers sync.WaitGroup
	for range 8 {
		schedulers.Go(func() {
			for i := range 20 {
				tick := start.Add(time.Duration(i+1) * time.Second)
				answer, claim, err := s.Begin(t.Context(), "h", "r", ticks.Claim{Entry: "a", Tick: tick, TaskID: "id", Queue: "q"})
				if err != nil || answer != ticks.Go {
					continue
				}
				if first, err := s.Settle(t.Context(), "a", claim.Tick, claim.TaskID, time.Time{}); err == nil && first {
					firsts.Add(1)
				}
			}
		})
	}
	schedulers.Wait()
	require.EqualValues(t, 20, firsts.Load())
}

func TestRedisAway(t *testing.T) {
	t.Parallel()
	s, rdb := open(t)
	require.NoError(t, rdb.Close())
	ctx := t.Context()
	_, err := s.List(ctx)
	require.ErrorIs(t, err, redis.ErrClosed)
	_, err = s.Announce(ctx, plan("h"), start, false)
	require.ErrorIs(t, err, redis.ErrClosed)
	_, err = s.Heartbeat(ctx, "h")
	require.ErrorIs(t, err, redis.ErrClosed)
	_, _, err = s.Begin(ctx, "h", "r", ticks.Claim{})
	require.ErrorIs(t, err, redis.ErrClosed)
	_, _, err = s.Pass(ctx, "h", "r", "a", start, start)
	require.ErrorIs(t, err, redis.ErrClosed)
	_, err = s.Settle(ctx, "a", start, "", start)
	require.ErrorIs(t, err, redis.ErrClosed)
	_, err = s.LastSettled(ctx, "a")
	require.ErrorIs(t, err, redis.ErrClosed)
}
