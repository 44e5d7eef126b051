package ticks_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/tasks/ticks"
)

// TestWhichScheduleIsInForceWithATable: what a scheduler hears that announces another schedule than the one in force.
func TestWhichScheduleIsInForceWithATable(t *testing.T) {
	t.Parallel()
	s, rdb := open(t)
	ctx := t.Context()
	tabled := func(hash, file string, revision int64, sameFile bool) ticks.Plan {
		return ticks.Plan{Hash: hash, File: file, Table: ticks.TableRead, Revision: revision, SameFile: sameFile}
	}
	inForce := tabled("h5", "f", 5, false)
	for name, c := range map[string]struct {
		plan     ticks.Plan
		takeover bool
		silent   bool
		answer   string
	}{
		"a later table":                      {tabled("h6", "f", 6, true), false, false, "in force"},
		"an earlier table":                   {tabled("h4", "f", 4, true), false, false, "outdated 5"},
		"an earlier table with a new file":   {tabled("g4", "g", 4, false), false, false, "outdated 5"},
		"an earlier table after a silence":   {tabled("h4", "f", 4, false), true, true, "outdated 5"},
		"an earlier table, but all the same": {tabled("h5", "f", 4, true), false, false, "in force"},
		"a later table with another file":    {tabled("g6", "g", 6, true), false, false, "standby"},
		"... after a silence":                {tabled("g6", "g", 6, true), true, true, "in force"},
		"a new file":                         {tabled("g5", "g", 5, false), false, false, "in force"},
		"a file that stood by":               {tabled("g5", "g", 5, false), true, false, "standby"},
		"a table that is not known":          {ticks.Plan{Hash: "f", File: "f", Table: ticks.TableUnknown}, false, true, "outdated 5"},
		"no database":                        {ticks.Plan{Hash: "f"}, false, false, "standby"},
		"no database after a silence":        {ticks.Plan{Hash: "f"}, false, true, "in force"},
	} {
		require.NoError(t, rdb.FlushDB(ctx).Err(), name)
		require.True(t, announce(t, s, inForce, start).InForce)
		if c.silent {
			require.NoError(t, rdb.HSet(ctx, "paidui:{schedules}:current", "seen", 1).Err())
		}
		a, err := s.Announce(ctx, c.plan, start, c.takeover)
		require.NoError(t, err)
		answer := "standby"
		switch {
		case a.InForce:
			answer = "in force"
		case a.Outdated > 0:
			answer = fmt.Sprint("outdated ", a.Outdated)
		}
		require.Equal(t, c.answer, answer, name)
	}

	// A build without tables announces over it, and makes way again.
	require.NoError(t, rdb.FlushDB(ctx).Err())
	announce(t, s, inForce, start)
	require.NoError(t, rdb.HSet(ctx, "paidui:{schedules}:current", "hash", "f").Err())
	presence, err := s.Present(ctx, inForce)
	require.NoError(t, err)
	require.Equal(t, ticks.Vacant, presence)
	a, err := s.Announce(ctx, inForce, start, true)
	require.NoError(t, err)
	require.True(t, a.InForce)
	presence, err = s.Heartbeat(ctx, "f")
	require.NoError(t, err)
	require.Equal(t, ticks.StandBy, presence)
}

// TestAnEntryThatComesBackRepeatsNothing: what was settled or claimed of it before it was deleted.
func TestAnEntryThatComesBackRepeatsNothing(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	ctx := t.Context()
	now := time.Now().UTC().Truncate(time.Second)
	announce(t, s, plan("h1", entry("a", "r")), now)
	claimed := now.Add(2 * time.Second) // by a scheduler whose clock is ahead
	answer, _ := begin(t, s, "h1", "r", claimed)
	require.Equal(t, ticks.Go, answer)
	announce(t, s, plan("h2"), now)
	first, err := s.Settle(ctx, "a", claimed, "id", time.Time{})
	require.NoError(t, err)
	require.False(t, first, "it is gone")
	again := entry("a", "r")
	again.Since = now.Add(-time.Minute)
	a := announce(t, s, plan("h3", again), now)
	require.Equal(t, claimed, a.Settled["a"])
	records, err := s.Ticks(ctx, "a", 0, 10)
	require.NoError(t, err)
	require.Empty(t, records)
}

// TestAnEntryCountsFromItsChange: if that is not too long ago; and never behind what was settled.
func TestAnEntryCountsFromItsChange(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	now := time.Now().UTC().Truncate(time.Second)
	made := func(name string, since time.Time) ticks.Entry {
		e := entry(name, "r")
		e.Since = since
		return e
	}
	announce(t, s, plan("h1", entry("old", "other")), now.Add(-time.Minute))
	a := announce(t, s, plan("h2", made("lately", now.Add(-10*time.Minute)), made("long ago", now.Add(-ticks.MaxSince-time.Hour)), made("old", now.Add(-10*time.Minute))), now)
	require.Equal(t, map[string]time.Time{"lately": now.Add(-10 * time.Minute), "long ago": now, "old": now.Add(-time.Minute)}, a.Settled)
}

func TestTheLogIsBounded(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	s := ticks.NewStore(b.Redis())
	ctx := t.Context()
	now := time.Now().UTC().Truncate(time.Second)
	announce(t, s, plan("h", entry("a", "r")), now.Add(-time.Hour))
	require.NoError(t, b.Redis().HSet(ctx, "paidui:{schedules}:entry:a", "settled", now.Add(-time.Hour).Unix()).Err())
	for i := range ticks.Logged + 20 {
		tick := now.Add(-time.Hour + time.Duration(i+1)*time.Second)
		_, _, err := s.PassOver(ctx, "h", "r", "a", tick, time.Time{}, ticks.Passed{Why: ticks.LogOverlap})
		require.NoError(t, err)
	}
	records, err := s.Ticks(ctx, "a", 0, 2*ticks.Logged)
	require.NoError(t, err)
	require.Len(t, records, ticks.Logged)
	require.Equal(t, now.Add(-time.Hour+(ticks.Logged+20)*time.Second), records[0].Due)
}

// TestTooManyRequestsToRun: those that nobody waits for any more make room.
func TestTooManyRequestsToRun(t *testing.T) {
	t.Parallel()
	s, rdb := open(t)
	ctx := t.Context()
	for i := range 100 {
		until := time.Now().Add(time.Minute).UnixMilli()
		if i < 3 {
			until = 1
		}
		require.NoError(t, rdb.HSet(ctx, "paidui:{schedules}:runs", fmt.Sprint(i), fmt.Sprint(until, " a")).Err())
	}
	_, err := s.Run(ctx, "x", "a", time.Millisecond)
	require.ErrorIs(t, err, ticks.ErrNoScheduler)
	for i := range 3 {
		require.NoError(t, rdb.HSet(ctx, "paidui:{schedules}:runs", fmt.Sprint("more", i), fmt.Sprint(time.Now().Add(time.Minute).UnixMilli(), " a")).Err())
	}
	_, err = s.Run(ctx, "x", "a", time.Millisecond)
	require.ErrorIs(t, err, ticks.ErrTooManyRuns)
	require.NoError(t, rdb.Del(ctx, "paidui:{schedules}:runs").Err())
	announce(t, s, plan("h", entry("a", "r")), time.Now())
	require.NoError(t, rdb.HSet(ctx, "paidui:{schedules}:runs", "late", "1 a").Err())
	taken, err := s.TakeRun(ctx, "h", ticks.RunRequest{ID: "late", Entry: "a"})
	require.NoError(t, err)
	require.False(t, taken, "nobody waits for it")
	taken, err = s.TakeRun(ctx, "another", ticks.RunRequest{ID: "x", Entry: "a"})
	require.NoError(t, err)
	require.False(t, taken)
}

// TestEachTickOnceWithATable: schedulers that are at any step, with any of the tables that there were, enqueue each tick once, and put no
// older table in force than a newer one. A scheduler here does one step at a time, and may never come back.
func TestEachTickOnceWithATable(t *testing.T) {
	t.Parallel()
	rdb := taskstest.Connect(t, testenv.RedisURL(t))
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		require.NoError(rt, rdb.FlushDB(ctx).Err())
		s := ticks.NewStore(rdb)
		base := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
		type table struct {
			entries map[string]string // name -> rule
			since   map[string]time.Time
		}
		tables := []table{{map[string]string{}, map[string]time.Time{}}}
		now := base
		newest := int64(0)
		type scheduler struct {
			revision int64
			claim    *ticks.Claim
			inForce  bool
		}
		schedulers := make([]scheduler, 3)
		enqueued := map[string]int{} // by the id, which the broker refuses a second time
		made := map[string]bool{}
		planOf := func(revision int64) ticks.Plan {
			p := ticks.Plan{Hash: fmt.Sprint("h", revision), File: "f", Table: ticks.TableRead, Revision: revision, SameFile: revision > 0}
			for name, rule := range tables[revision].entries {
				e := entry(name, rule)
				e.Since = tables[revision].since[name]
				p.Entries = append(p.Entries, e)
			}
			return p
		}
		enqueue := func(c ticks.Claim) {
			if !made[c.TaskID] {
				made[c.TaskID] = true
				enqueued[fmt.Sprint(c.Entry, c.Tick.Unix())]++
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"time passes": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 5).Draw(rt, "seconds")) * time.Second)
			},
			"the table changes": func(rt *rapid.T) {
				last := tables[len(tables)-1]
				next := table{map[string]string{}, map[string]time.Time{}}
				for name, rule := range last.entries {
					next.entries[name], next.since[name] = rule, last.since[name]
				}
				name := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "name")
				if rule := rapid.SampledFrom([]string{"", "r1", "r2", "paused"}).Draw(rt, "rule"); rule == "" {
					delete(next.entries, name)
				} else {
					next.entries[name], next.since[name] = rule, now
				}
				tables = append(tables, next)
			},
			"a scheduler announces": func(rt *rapid.T) {
				w := &schedulers[rapid.IntRange(0, 2).Draw(rt, "scheduler")]
				if rapid.Bool().Draw(rt, "reads the table") {
					w.revision = int64(len(tables) - 1)
				}
				a, err := s.Announce(ctx, planOf(w.revision), now, rapid.Bool().Draw(rt, "yields"))
				require.NoError(rt, err)
				for _, claim := range a.Open {
					enqueue(claim)
					_, err := s.Settle(ctx, claim.Entry, claim.Tick, claim.TaskID, time.Time{})
					require.NoError(rt, err)
				}
				w.inForce, w.claim = a.InForce, nil
				if a.InForce {
					require.GreaterOrEqual(rt, w.revision, newest, "no older table comes back")
					newest = w.revision
				}
			},
			"a scheduler claims": func(rt *rapid.T) {
				w := &schedulers[rapid.IntRange(0, 2).Draw(rt, "scheduler")]
				name := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "name")
				rule, has := tables[w.revision].entries[name]
				if !w.inForce || !has || rule == "paused" {
					return
				}
				tick := now.Add(-time.Duration(rapid.IntRange(0, 3).Draw(rt, "behind")) * time.Second)
				answer, claim, err := s.Begin(ctx, fmt.Sprint("h", w.revision), rule, ticks.Claim{
					Entry: name, Tick: tick, TaskID: fmt.Sprint(name, "@", tick.Unix()), Queue: "q",
				})
				require.NoError(rt, err)
				w.claim = nil
				if answer == ticks.Go || answer == ticks.InDoubt {
					require.EqualValues(rt, newest, w.revision, "only the schedule in force claims")
					w.claim = &claim
				}
			},
			"a scheduler enqueues": func(rt *rapid.T) {
				if w := &schedulers[rapid.IntRange(0, 2).Draw(rt, "scheduler")]; w.claim != nil {
					enqueue(*w.claim)
				}
			},
			"a scheduler settles": func(rt *rapid.T) {
				w := &schedulers[rapid.IntRange(0, 2).Draw(rt, "scheduler")]
				if w.claim == nil || !made[w.claim.TaskID] {
					return
				}
				_, err := s.Settle(ctx, w.claim.Entry, w.claim.Tick, w.claim.TaskID, time.Time{})
				require.NoError(rt, err)
				w.claim = nil
			},
			"": func(rt *rapid.T) {
				for tick, n := range enqueued {
					require.Equal(rt, 1, n, tick)
				}
			},
		})
		// Of one entry's log, no tick is there twice.
		for _, name := range []string{"a", "b"} {
			records, err := s.Ticks(ctx, name, 0, ticks.Logged)
			require.NoError(rt, err)
			seen := map[int64]bool{}
			for _, r := range records {
				require.False(rt, seen[r.Due.Unix()], "settled twice")
				seen[r.Due.Unix()] = true
			}
		}
	})
}
