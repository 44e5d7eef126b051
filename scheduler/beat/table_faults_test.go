package beat

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/tasks/ticks"
)

// eachTable runs a test on Redis with MariaDB, and on what is embedded.
func eachTable(t *testing.T, test func(t *testing.T, d tabled)) {
	t.Parallel()
	t.Run("servers", func(t *testing.T) {
		t.Parallel()
		test(t, openTable(t, taskstest.Broker(t, testenv.RedisURL(t)), testenv.MySQL(t)))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, openTable(t, taskstest.Embedded(t), "sqlite://"+t.TempDir()+"/x.db"))
	})
}

// awaitTicks waits until so many more ticks of an entry are in the queue.
func awaitTicks(t *testing.T, b *broker.Broker, queue, entry string, more int) {
	t.Helper()
	count := func() int {
		if known, err := b.HasQueue(t.Context(), queue); err != nil || !known {
			return 0
		}
		return len(queued(t, b.Redis(), queue, entry))
	}
	from := count()
	testenv.Eventually(t, func() bool { return count() >= from+more })
}

// TestAFirstLookThatComesLate, after the scheduler has begun without the table.
func TestAFirstLookThatComesLate(t *testing.T) {
	eachTable(t, func(t *testing.T, d tabled) {
		d.put(t, schedule.KindEntry, "a", `{"name":"a","task":"test.noop","every":"1s","queue":"q"}`, nil)
		late := schedule.NewLateTable(func(ctx context.Context) (*gorm.DB, error) {
			select {
			case <-time.After(firstLook + firstLook/5):
				return d.db, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		start(t, tabled{d.b, late, d.db}.beat(t, scheduleFile(t, oneHourly), systemClock{}))
		d.awaitEntry(t, "a", func(_ ticks.Entry, there bool) bool { return there })
	})
}

// TestATimeThatHasPassedDoesNotComeAgain when Redis loses its data.
func TestATimeThatHasPassedDoesNotComeAgain(t *testing.T) {
	eachTable(t, func(t *testing.T, d tabled) {
		at := time.Now().Add(2 * time.Second).UTC().Truncate(time.Second)
		old := func(r *schedule.Row) { r.At = r.At.Add(-time.Hour) }
		d.put(t, schedule.KindEntry, "once", `{"name":"once","task":"test.noop","at":"`+at.Format(time.RFC3339)+`","queue":"q"}`, old)
		d.put(t, schedule.KindEntry, "often", `{"name":"often","task":"test.noop","every":"1s","queue":"q"}`, old)
		path := scheduleFile(t, noEntries)
		require.NoError(t, d.b.Redis().HSet(t.Context(), "paidui:{schedules}:current", "hash", "x", "seen", "1").Err())
		stop := startReady(t, d.beat(t, path, systemClock{}))
		awaitTicks(t, d.b, "q", "once", 1)
		stop()
		require.NoError(t, d.b.Redis().FlushAll(t.Context()).Err())
		startReady(t, d.beat(t, path, systemClock{}))
		awaitTicks(t, d.b, "q", "often", 2)
		require.Empty(t, queued(t, d.b.Redis(), "q", "once"))
	})
}

// TestAnEntryThatHasHadItsTicksIsQuiet: what waited, and what would be due, is no matter any more.
func TestAnEntryThatHasHadItsTicksIsQuiet(t *testing.T) {
	eachTable(t, func(t *testing.T, d tabled) {
		path := scheduleFile(t, "schedules:\n"+
			"  - {name: a, task: test.noop, every: 1s, overlap: queue, overlap_limit: 1, max_ticks: 1}\n"+
			"  - {name: often, task: test.noop, every: 1s, queue: q}\n")
		startReady(t, newBeat(t, d.b, path, systemClock{}))
		awaitTicks(t, d.b, "default", "a", 1)
		awaitTicks(t, d.b, "q", "often", 2) // one of a waits by now
		finish(t, d.b, lastID(t, d.b, "a"))
		awaitTicks(t, d.b, "q", "often", 2)
		before := whats(t, d.b, "a")
		awaitTicks(t, d.b, "q", "often", 3)
		require.Equal(t, before, whats(t, d.b, "a"))
	})
}

// TestAFullQueueHoldsUpNoOtherSchedule when an entry of it is changed.
func TestAFullQueueHoldsUpNoOtherSchedule(t *testing.T) {
	eachTable(t, func(t *testing.T, d tabled) {
		client := tasks.NewClient(d.b, tasks.ClientOptions{MaxLength: map[string]int{"full": 1}})
		path := scheduleFile(t, "schedules:\n  - {name: a, task: test.noop, every: 1s, queue: full}\n  - {name: b, task: test.noop, every: 1s, queue: q}\n")
		beat, err := New(Options{
			Path: path, Catalog: catalog(t), Client: client, Redis: d.b.Redis(), Table: d.table, Logger: testenv.Quiet(),
			Clock: systemClock{}, Registerer: prometheus.NewRegistry(),
		})
		require.NoError(t, err)
		startReady(t, beat)
		awaitTicks(t, d.b, "q", "b", 3) // a has a tick that can't be enqueued
		d.put(t, schedule.KindOverride, "a", "", func(r *schedule.Row) { r.Paused = paused(true) })
		d.awaitEntry(t, "a", func(e ticks.Entry, there bool) bool { return there && e.Paused })
		awaitTicks(t, d.b, "q", "b", 2)
	})
}

// TestSchedulersOfTwoBuilds, of which one lacks the task of an entry, leave that entry its state.
func TestSchedulersOfTwoBuilds(t *testing.T) {
	eachTable(t, func(t *testing.T, d tabled) {
		path := scheduleFile(t, noEntries)
		var specs []tasks.Spec
		for _, s := range catalog(t).All() {
			if s.Name() != "test.sum" {
				specs = append(specs, s)
			}
		}
		less, err := tasks.NewCatalog(specs...)
		require.NoError(t, err)
		older, err := New(Options{
			Path: path, Catalog: less, Client: tasks.NewClient(d.b), Redis: d.b.Redis(), Table: d.table, Logger: testenv.Quiet(),
			Clock: systemClock{}, Registerer: prometheus.NewRegistry(),
		})
		require.NoError(t, err)
		d.put(t, schedule.KindEntry, "r", `{"name":"r","task":"test.sum","args":{"n":1,"m":2},"every":"1s","queue":"q","max_ticks":100}`, nil)
		start(t, older)
		startReady(t, d.beat(t, path, systemClock{}))
		for i := range 4 {
			awaitTicks(t, d.b, "q", "r", 1)
			name := fmt.Sprint("x", i)
			d.put(t, schedule.KindEntry, name, `{"name":"`+name+`","task":"test.noop","every":"1h"}`, nil)
			d.awaitEntry(t, name, func(_ ticks.Entry, there bool) bool { return there })
		}
		awaitTicks(t, d.b, "q", "r", 1)
		testenv.Eventually(t, func() bool { // all of its ticks count
			count, err := strconv.Atoi(d.b.Redis().HGet(t.Context(), "paidui:{schedules}:entry:r", "count").Val())
			return err == nil && count >= 5 && count == len(queued(t, d.b.Redis(), "q", "r"))
		})
	})
}
