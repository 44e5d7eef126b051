package beat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/tasks/ticks"
)

const (
	noEntries = "schedules: []\n"
	oneHourly = "schedules:\n  - {name: f, task: test.noop, every: 1h}\n"
)

// tabled is a broker with a table of schedules.
type tabled struct {
	b     *broker.Broker
	table *schedule.Table
	db    *gorm.DB
}

func openTable(t *testing.T, b *broker.Broker, databaseURL string) tabled {
	t.Helper()
	db, err := models.Open(t.Context(), databaseURL, models.Options{Logger: testenv.Quiet()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, models.Migrate(t.Context(), db))
	return tabled{b, schedule.NewTable(db), db}
}

func (d tabled) beat(t testing.TB, path string, clock Clock) *Beat {
	t.Helper()
	beat, err := New(Options{
		Path: path, Catalog: catalog(t), Client: tasks.NewClient(d.b), Redis: d.b.Redis(), Table: d.table,
		Logger: testenv.Quiet(), Clock: clock, Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	return beat
}

// put writes an entry into the table.
func (d tabled) put(t testing.TB, kind, name, entry string, change func(*schedule.Row)) {
	t.Helper()
	row := schedule.Row{Entry: entry, By: "test", At: time.Now().UTC().Truncate(time.Microsecond)}
	if change != nil {
		change(&row)
	}
	require.NoError(t, d.table.Edit(context.Background(), kind, name, func(*schedule.Row) (*schedule.Row, error) { return &row, nil }))
}

func (d tabled) remove(t testing.TB, kind, name string) {
	t.Helper()
	require.NoError(t, d.table.Edit(context.Background(), kind, name, func(*schedule.Row) (*schedule.Row, error) { return nil, nil }))
}

func (d tabled) announced(t testing.TB) map[string]ticks.Entry {
	t.Helper()
	list, err := ticks.NewStore(d.b.Redis()).Announced(t.Context())
	require.NoError(t, err)
	named := make(map[string]ticks.Entry)
	for _, e := range list {
		named[e.Name] = e
	}
	return named
}

// awaitEntry waits until the schedule in force has an entry as it should be.
func (d tabled) awaitEntry(t *testing.T, name string, is func(ticks.Entry, bool) bool) {
	t.Helper()
	testenv.Eventually(t, func() bool {
		e, there := d.announced(t)[name]
		return is(e, there)
	}, name)
}

func paused(is bool) *bool { return &is }

func TestSchedulersFollowTheTable(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func() (*broker.Broker, string){
		"servers":  func() (*broker.Broker, string) { return taskstest.Broker(t, testenv.RedisURL(t)), testenv.MySQL(t) },
		"embedded": func() (*broker.Broker, string) { return taskstest.Embedded(t), "sqlite://" + t.TempDir() + "/x.db" },
		"cluster": func() (*broker.Broker, string) {
			return taskstest.Broker(t, testenv.RedisCluster(t)), "sqlite://" + t.TempDir() + "/x.db"
		},
	} {
		b, url := open()
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openTable(t, b, url)
			runs := serveCounting(t, b)
			path := scheduleFile(t, oneHourly)
			for range 2 {
				startReady(t, d.beat(t, path, systemClock{}))
			}
			d.put(t, schedule.KindEntry, "a", `{"name":"a","task":"test.noop","every":"1s","timezone":"UTC"}`, nil)
			d.awaitEntry(t, "a", func(e ticks.Entry, there bool) bool {
				return there && e.Source == schedule.SourceTable && e.By == "test"
			})
			testenv.Eventually(t, func() bool { return len(runs.ticks(t, "a")) >= 2 })

			d.put(t, schedule.KindEntry, "r", `{"name":"r","task":"test.sum","args":{"n":1,"m":2},"every":"1s","overlap":"queue","overlap_limit":2,"max_ticks":9}`, nil)
			d.awaitEntry(t, "r", func(_ ticks.Entry, there bool) bool { return there })
			store := ticks.NewStore(b.Redis())
			ran, err := store.Run(t.Context(), "request", "r", testenv.Patience)
			require.NoError(t, err)
			require.NotEmpty(t, ran.TaskID)
			testenv.Eventually(t, func() bool { // nobody runs its tasks
				last, err := store.LastOf(t.Context(), "r")
				return err == nil && len(last.Waits) == 2 && slices.Contains(whats(t, b, "r"), ticks.LogOverlap)
			})

			d.put(t, schedule.KindEntry, "a", `{"name":"a","task":"test.noop","every":"1s","timezone":"UTC"}`, func(r *schedule.Row) { r.Paused = paused(true) })
			d.awaitEntry(t, "a", func(e ticks.Entry, _ bool) bool { return e.Paused })
			d.remove(t, schedule.KindEntry, "a")
			d.awaitEntry(t, "a", func(_ ticks.Entry, there bool) bool { return !there })

			file := d.announced(t)["f"]
			require.Equal(t, schedule.SourceFile, file.Source)
			d.put(t, schedule.KindOverride, "f", "", func(r *schedule.Row) { r.Paused, r.Base = paused(true), file.Base })
			d.awaitEntry(t, "f", func(e ticks.Entry, _ bool) bool { return e.Paused && e.Override != nil && !e.OwnPaused })
			d.put(t, schedule.KindOverride, "f", `{"name":"f","task":"test.noop","every":"2h","timezone":"UTC"}`, func(r *schedule.Row) { r.Base = file.Base })
			d.awaitEntry(t, "f", func(e ticks.Entry, _ bool) bool { return !e.Paused && e.Spec == "every 2h" && e.Override.Changed })

			// A file that changes the entry keeps only its pause, and one that drops it nothing.
			d.put(t, schedule.KindOverride, "f", `{"name":"f","task":"test.noop","every":"2h","timezone":"UTC"}`, func(r *schedule.Row) { r.Base, r.Paused = file.Base, paused(true) })
			require.NoError(t, os.WriteFile(path, []byte("schedules:\n  - {name: f, task: test.noop, every: 3h}\n"), 0o600))
			d.awaitEntry(t, "f", func(e ticks.Entry, _ bool) bool { return e.Paused && e.Spec == "every 3h" && !e.Override.Changed })
			testenv.Eventually(t, func() bool {
				_, row, err := d.table.Named(t.Context(), "f")
				return err == nil && row != nil && row.Entry == ""
			})
			require.NoError(t, os.WriteFile(path, []byte(noEntries), 0o600))
			testenv.Eventually(t, func() bool {
				_, row, err := d.table.Named(t.Context(), "f")
				return err == nil && row == nil
			})
			d.awaitEntry(t, "f", func(_ ticks.Entry, there bool) bool { return !there })
			runs.requireNoneMissing(t, "a")
		})
	}
}

// TestTheFileComesFirst: of a name that the file and the table have, the file's entry runs, and the table's rests.
func TestTheFileComesFirst(t *testing.T) {
	t.Parallel()
	d := openTable(t, taskstest.Embedded(t), "sqlite://"+t.TempDir()+"/x.db")
	d.put(t, schedule.KindEntry, "f", `{"name":"f","task":"test.noop","every":"5s"}`, nil)
	d.put(t, schedule.KindEntry, "broken", `{"name":"broken","task":"no.such","every":"5s"}`, nil)
	path := scheduleFile(t, oneHourly)
	b := d.beat(t, path, systemClock{})
	start(t, b)
	d.awaitEntry(t, "f", func(e ticks.Entry, _ bool) bool { return e.Spec == "every 1h" && e.Shadows })
	testenv.Eventually(t, func() bool { return b.Ready(t.Context()) == nil }, "an entry that can't be run is left out, and the others go on")
	require.Len(t, d.announced(t), 1)
	require.NoError(t, os.WriteFile(path, []byte(noEntries), 0o600))
	d.awaitEntry(t, "f", func(e ticks.Entry, _ bool) bool { return e.Spec == "every 5s" && e.Source == schedule.SourceTable })
}

// TestAnOldTableBringsNothingBack: a scheduler that stood still does not put an entry in force that was deleted meanwhile.
func TestAnOldTableBringsNothingBack(t *testing.T) {
	t.Parallel()
	d := openTable(t, taskstest.Broker(t, testenv.RedisURL(t)), testenv.MySQL(t))
	path := scheduleFile(t, noEntries)
	d.put(t, schedule.KindEntry, "a", `{"name":"a","task":"test.noop","every":"1h"}`, nil)
	old := d.beat(t, path, systemClock{})
	old.table.look(t.Context())
	stale := old.plan(old.first)
	require.Equal(t, 1, stale.Len())

	d.remove(t, schedule.KindEntry, "a")
	startReady(t, d.beat(t, path, systemClock{}))
	for _, takeover := range []bool{false, true} {
		a, err := old.announce(t.Context(), stale, takeover)
		require.NoError(t, err)
		require.EqualValues(t, 2, a.Outdated)
	}
	// Nor does it when nobody has been heard for long.
	require.NoError(t, d.b.Redis().HSet(t.Context(), "paidui:{schedules}:current", "seen", 1).Err())
	a, err := old.announce(t.Context(), stale, true)
	require.NoError(t, err)
	require.EqualValues(t, 2, a.Outdated)
	require.Empty(t, d.announced(t))

	// A database that was restored to an older state counts from then on.
	require.NoError(t, d.db.Exec("DELETE FROM paidui_schedule_revision").Error)
	d.put(t, schedule.KindEntry, "b", `{"name":"b","task":"test.noop","every":"1h"}`, nil)
	require.NoError(t, d.db.Exec("UPDATE paidui_schedule_revision SET revision = 1").Error)
	startReady(t, old)
	d.awaitEntry(t, "b", func(_ ticks.Entry, there bool) bool { return there })
	revision, err := d.table.Revision(t.Context())
	require.NoError(t, err)
	require.Greater(t, revision, int64(2))
}

// TestWithoutTheDatabase: what was read last stays in force, a scheduler that knows nothing of a table that is in use waits, and one
// without a database yields.
func TestWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	d := openTable(t, taskstest.Broker(t, testenv.RedisURL(t)), testenv.MySQL(t))
	path := scheduleFile(t, oneHourly)
	away := schedule.NewLateTable(func(context.Context) (*gorm.DB, error) { return nil, errors.New("away") })

	// Nobody has changed anything yet: the file alone is in force.
	first := tabled{d.b, away, d.db}.beat(t, path, systemClock{})
	stop := startReady(t, first)
	stop()
	d.put(t, schedule.KindEntry, "a", `{"name":"a","task":"test.noop","every":"1h"}`, nil)
	second := d.beat(t, path, systemClock{})
	startReady(t, second)
	d.awaitEntry(t, "a", func(_ ticks.Entry, there bool) bool { return there })

	third := tabled{d.b, away, d.db}.beat(t, path, systemClock{})
	start(t, third)
	testenv.Eventually(t, func() bool {
		err := third.Ready(t.Context())
		return err != nil && third.table.ready() != nil
	})
	alone := newBeat(t, d.b, scheduleFile(t, everySecond), systemClock{})
	start(t, alone)
	testenv.Eventually(t, func() bool { return alone.Ready(t.Context()) == nil }, "it has announced, and stands by")
	require.Len(t, d.announced(t), 2)
	require.NoError(t, second.Ready(t.Context()))
}

// TestWhatWasReadLastStaysInForce: the database goes while schedulers run.
func TestWhatWasReadLastStaysInForce(t *testing.T) {
	t.Parallel()
	url := "sqlite://" + t.TempDir() + "/x.db"
	d := openTable(t, taskstest.Embedded(t), url)
	d.put(t, schedule.KindEntry, "a", `{"name":"a","task":"test.noop","every":"1s","queue":"q"}`, nil)
	own, err := models.Open(t.Context(), url, models.Options{})
	require.NoError(t, err)
	b := tabled{d.b, schedule.NewTable(own), own}.beat(t, scheduleFile(t, noEntries), systemClock{})
	startReady(t, b)
	testenv.Eventually(t, func() bool { return len(queued(t, d.b.Redis(), "q", "a")) >= 1 })
	require.NoError(t, models.Close(own))
	testenv.Eventually(t, func() bool { return b.Ready(t.Context()) != nil })
	seen := len(queued(t, d.b.Redis(), "q", "a"))
	testenv.Eventually(t, func() bool { return len(queued(t, d.b.Redis(), "q", "a")) >= seen+2 })
}

// TestEachTickOnceWhileEntriesChange: three schedulers stall and die at random, while entries are added, changed, paused and deleted. No
// tick of a life of an entry is enqueued twice, and between the first and the last of those that ran none is missing.
func TestEachTickOnceWhileEntriesChange(t *testing.T) {
	t.Parallel()
	d := openTable(t, taskstest.Broker(t, testenv.RedisURL(t)), testenv.MySQL(t))
	path := scheduleFile(t, everySecond)
	runs := serveCounting(t, d.b)
	var deaths atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var places sync.WaitGroup
	for range 3 {
		places.Go(func() {
			for ctx.Err() == nil {
				life, die := context.WithCancelCause(ctx)
				beat := d.beat(t, path, systemClock{})
				beat.testHook = func(string) error {
					switch n := rand.IntN(100); {
					case life.Err() != nil && ctx.Err() == nil:
						return context.Cause(life)
					case n < 4:
						deaths.Add(1)
						die(errors.New("killed"))
						return context.Cause(life)
					case n < 20:
						time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
					}
					return nil
				}
				require.NoError(t, beat.Run(life))
				die(nil)
			}
		})
	}
	names := []string{"b", "c", "d"}
	for i := range 25 {
		name := names[rand.IntN(len(names))]
		switch rand.IntN(4) {
		case 0:
			d.remove(t, schedule.KindEntry, name)
		case 1:
			d.put(t, schedule.KindEntry, name, fmt.Sprintf(`{"name":%q,"task":"test.noop","every":"1s","misfire":"all"}`, name), func(r *schedule.Row) { r.Paused = paused(true) })
		case 2:
			d.put(t, schedule.KindEntry, name, fmt.Sprintf(`{"name":%q,"task":"test.noop","every":"2s","misfire":"all","timeout":%d}`, name, i+1), nil)
		default:
			d.put(t, schedule.KindEntry, name, fmt.Sprintf(`{"name":%q,"task":"test.noop","every":"1s","misfire":"all"}`, name), nil)
		}
		time.Sleep(time.Duration(rand.IntN(700)) * time.Millisecond)
	}
	d.put(t, schedule.KindEntry, "last", `{"name":"last","task":"test.noop","every":"1s","misfire":"all"}`, nil)
	testenv.Eventually(t, func() bool { return len(runs.of(t, "last")) >= 3 && len(runs.of(t, "a")) >= 10 && deaths.Load() > 0 })
	cancel()
	places.Wait()
	for _, name := range append(names, "a", "last") {
		runs.of(t, name) // fails when one has run twice
	}
	for _, name := range []string{"a", "last"} { // which nobody has changed
		var list []time.Time
		testenv.Eventually(t, func() bool {
			list = runs.of(t, name)
			return int(list[len(list)-1].Sub(list[0])/time.Second)+1 == len(list)
		}, "a tick of", name, "is missing")
	}
}

// of lists the ticks of an entry that have run, ascending, and fails when one has run twice.
func (c *counter) of(t *testing.T, entry string) []time.Time {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []time.Time{}
	for id, runs := range c.runs {
		tick, ok := tickOf(id, entry)
		if !ok {
			continue
		}
		require.Equal(t, 1, runs, id)
		require.NotContains(t, list, tick, "two tasks for a tick")
		list = append(list, tick)
	}
	slices.SortFunc(list, time.Time.Compare)
	return list
}
