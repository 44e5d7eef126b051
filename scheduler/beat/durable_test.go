package beat

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/tasks/ticks"
)

const durableSecond = "schedules:\n  - {name: a, task: test.noop, every: 1s, misfire: all, durable: true}\n"

// durables is what durable schedules need.
type durables struct {
	b      *broker.Broker
	client *tasks.Client
	db     *gorm.DB
}

func openDurables(t *testing.T, b *broker.Broker, databaseURL string) durables {
	t.Helper()
	db, err := models.Open(t.Context(), databaseURL, models.Options{Logger: testenv.Quiet()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, shop.Migrate(t.Context(), db))
	client := tasks.NewClient(b)
	ob, err := outbox.New(db, client, outbox.Options{Logger: testenv.Quiet()})
	require.NoError(t, err)
	require.NoError(t, db.Use(ob))
	taskstest.Run(t, ob.Run)
	return durables{b, client, db}
}

func (d durables) beat(t testing.TB, path string, clock Clock) *Beat {
	t.Helper()
	beat, err := New(Options{
		Path: path, Catalog: catalog(t), Client: d.client, Redis: d.b.Redis(), Ledger: ticks.NewLedger(d.db),
		Logger: testenv.Quiet(), Clock: clock, Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	return beat
}

// kept lists the ticks whose tasks the outbox keeps, ascending.
func (d durables) kept(t *testing.T) []time.Time {
	t.Helper()
	var ids []string
	require.NoError(t, d.db.Model(&models.OutboxRow{}).Pluck("task_id", &ids).Error)
	list := []time.Time{}
	for _, id := range ids {
		tick, ok := tickOf(id, "a")
		require.True(t, ok, id)
		list = append(list, tick)
	}
	slices.SortFunc(list, time.Time.Compare)
	return list
}

// Two schedulers that stall and die at random, upon which others take their places, while Redis loses all its data now and
// then, and once more when all ticks are enqueued. No worker runs before that, so that nothing has ended.
func TestDurableTicksOnceWhateverDiesOrIsLost(t *testing.T) {
	t.Parallel()
	for place, url := range map[string]func(*testing.T) string{
		"mariadb": func(t *testing.T) string { return testenv.MySQL(t) },
		"sqlite":  func(t *testing.T) string { return "sqlite://" + t.TempDir() + "/paidui.db" },
	} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			b := taskstest.Broker(t, testenv.RedisURL(t))
			d := openDurables(t, b, url(t))
			clock := newLedClock(noon, 20)
			path := scheduleFile(t, durableSecond)
			var deaths atomic.Int64
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var places sync.WaitGroup
			for range 2 {
				places.Go(func() {
					for ctx.Err() == nil {
						life, die := context.WithCancelCause(ctx)
						beat := d.beat(t, path, clock)
						beat.testHook = func(string) error {
							switch n := rand.IntN(100); {
							case life.Err() != nil && ctx.Err() == nil:
								return context.Cause(life)
							case n < 3:
								deaths.Add(1)
								die(errors.New("killed"))
								return context.Cause(life)
							case n < 20:
								time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
							}
							return nil
						}
						require.NoError(t, beat.Run(life))
						die(nil)
					}
				})
			}
			kept := func() int {
				n := len(d.kept(t))
				clock.follow(n)
				return n
			}
			for more := 20; more <= 100; more += 20 {
				testenv.Eventually(t, func() bool { return kept() >= more })
				require.NoError(t, b.Redis().FlushAll(t.Context()).Err())
			}
			testenv.Eventually(t, func() bool { return kept() >= 120 && deaths.Load() > 0 })
			cancel()
			places.Wait()
			made := d.kept(t)
			requireContiguous(t, made)

			require.NoError(t, b.Redis().FlushAll(t.Context()).Err())
			// The sweep finds them lost a minute later, and sends them again; this has it so at once.
			require.NoError(t, d.db.Model(&models.OutboxRow{}).Where("1 = 1").Update("sent_at", nil).Error)
			runs := serveCountingWith(t, b, d.client)
			testenv.Eventually(t, func() bool { return len(runs.ticks(t, "a")) == len(made) && len(d.kept(t)) == 0 })
			require.Equal(t, made, runs.ticks(t, "a"))
		})
	}
}

// A tick whose task has run is not enqueued again when Redis has lost that: not by a scheduler that knew less of it, and not
// by one that starts. What was missed meanwhile follows the misfire rule.
func TestALossOfRedisRepeatsNoDurableTick(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	d := openDurables(t, b, testenv.MySQL(t))
	runs := serveCountingWith(t, b, d.client)
	path := scheduleFile(t, durableSecond)
	clock := newStepClock(noon)
	first := d.beat(t, path, clock)
	died := dieAt(t, first, "enqueued") // and not settled
	testenv.Eventually(t, func() bool { return first.Ready(t.Context()) == nil })
	clock.Set(noon.Add(time.Second))
	<-died
	testenv.Eventually(t, func() bool { return len(runs.ticks(t, "a")) == 1 && len(d.kept(t)) == 0 })

	require.NoError(t, b.Redis().FlushAll(t.Context()).Err())
	second := d.beat(t, path, newStepClock(noon.Add(3*time.Second)))
	// It believes that nothing is settled, as one that was cut off before the first tick.
	r := second.runner(second.first.Entries()[0], second.first, []byte("another secret"))
	id, err := r.enqueueTask(t.Context(), ticks.Claim{Entry: "a", Tick: noon.Add(time.Second), TaskID: "a@1-x"}, []tasks.Option{tasks.ID("a@1-x")})
	require.ErrorIs(t, err, tasks.ErrDuplicate)
	require.Equal(t, "a@1-x", id)

	startReady(t, second)
	testenv.Eventually(t, func() bool { return len(runs.ticks(t, "a")) == 3 })
	requireContiguous(t, runs.ticks(t, "a"))
}

// Redis is emptied, and the first scheduler that comes back has a clock that is behind: it puts in no tick that ran.
func TestASlowClockRepeatsNoDurableTick(t *testing.T) {
	t.Parallel()
	const seconds = 10
	b := taskstest.Broker(t, testenv.RedisURL(t))
	d := openDurables(t, b, "sqlite://"+t.TempDir()+"/paidui.db")
	runs := serveCountingWith(t, b, d.client)
	path := scheduleFile(t, durableSecond)
	clock := newStepClock(noon)
	stop := startReady(t, d.beat(t, path, clock))
	clock.Set(noon.Add(seconds * time.Second))
	testenv.Eventually(t, func() bool { return len(runs.ticks(t, "a")) == seconds && len(d.kept(t)) == 0 })
	stop()
	require.NoError(t, b.Redis().FlushAll(t.Context()).Err())

	behind := newStepClock(noon)
	slow := d.beat(t, path, behind)
	startReady(t, slow)
	for n := range seconds + 1 {
		now := noon.Add(time.Duration(n+1) * time.Second)
		behind.Set(now)
		testenv.Eventually(t, func() bool { return !settledOf(t, slow).Before(now) })
	}
	testenv.Eventually(t, func() bool { return len(d.kept(t)) == 0 })
	require.Len(t, runs.ticks(t, "a"), seconds+1)
	requireContiguous(t, runs.ticks(t, "a"))

	// The ledger says no as well, where Redis does not.
	r := slow.runner(slow.first.Entries()[0], slow.first, []byte("another secret"))
	r.clock = newLimitedClock(newStepClock(noon), slow.store, testenv.Quiet())
	_, err := r.enqueueTask(t.Context(), ticks.Claim{Entry: "a", Tick: noon.Add(time.Second), TaskID: "a@1-x"}, []tasks.Option{tasks.ID("a@1-x")})
	require.ErrorIs(t, err, tasks.ErrDuplicate)
}

// While the database is away a durable entry waits, and another one goes on; that is one outage from its beginning to its end.
func TestADatabaseThatIsAwayStopsDurableEntriesOnly(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	whole, err := url.Parse(testenv.MySQL(t))
	require.NoError(t, err)
	proxy := testenv.NewProxy(t, whole.Host)
	whole.Host = proxy.Addr
	d := openDurables(t, b, whole.String())
	path := scheduleFile(t, durableSecond+"  - {name: p, task: test.noop, every: 1s, misfire: all}\n")
	var log testenv.LogBuffer
	clock := newFastClock(noon, 10)
	beat := d.beat(t, path, clock)
	beat.outage.logger = slog.New(slog.NewTextHandler(&log, nil))
	startReady(t, beat)
	testenv.Eventually(t, func() bool { return settledOf(t, beat).After(noon.Add(3 * time.Second)) })

	proxy.Away(true)
	testenv.Eventually(t, func() bool { return beat.Ready(t.Context()) != nil })
	waits := settledOf(t, beat)
	before := len(queued(t, b.Redis(), "default", "p"))
	testenv.Eventually(t, func() bool {
		require.Error(t, beat.Ready(t.Context()))
		return len(queued(t, b.Redis(), "default", "p")) > before+50
	})

	require.Equal(t, waits, settledOf(t, beat))
	require.NotContains(t, log.String(), "answer again")
	proxy.Away(false)
	back := clock.Now()
	testenv.Eventually(t, func() bool { return beat.Ready(t.Context()) == nil && settledOf(t, beat).After(back) })
	require.Equal(t, 1, strings.Count(log.String(), "answer again"), log.String())
	requireContiguous(t, queued(t, b.Redis(), "default", "p"))

	// A Redis that is emptied meanwhile is taken up again when the database says which ticks are done.
	proxy.Away(true)
	testenv.Eventually(t, func() bool { return beat.Ready(t.Context()) != nil })
	require.NoError(t, b.Redis().FlushAll(t.Context()).Err())
	testenv.Eventually(t, func() bool {
		beat.outage.mu.Lock()
		defer beat.outage.mu.Unlock()
		return beat.outage.waiting[announcements] != nil
	})

	require.Zero(t, b.Redis().Exists(t.Context(), "paidui:{schedules}:current").Val())
	proxy.Away(false)
	back = clock.Now()
	testenv.Eventually(t, func() bool { return beat.Ready(t.Context()) == nil && settledOf(t, beat).After(back) })
}

// A scheduler whose schedule is not in force any more, and that comes to forget late, forgets nothing.
func TestANewerSchedulesNoteIsNotForgotten(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	d := openDurables(t, b, "sqlite://"+t.TempDir()+"/paidui.db")
	older := d.beat(t, scheduleFile(t, durableSecond), newStepClock(noon))
	startReady(t, older)()
	newer := d.beat(t, scheduleFile(t, strings.Replace(durableSecond, "name: a", "name: x", 1)), newStepClock(noon))
	startReady(t, newer)
	ledger := ticks.NewLedger(d.db)
	_, err := ledger.Note(t.Context(), "x", "r", noon, newer.store.Clock, func(*gorm.DB) error { return nil })
	require.NoError(t, err)
	older.forgetNoted(t.Context(), older.plan(older.first))
	noted, err := ledger.Noted(t.Context())
	require.NoError(t, err)
	require.Len(t, noted, 1)
}

// Without a database a durable schedule is a mistake, at start and in a file that changes.
func TestDurableNeedsADatabase(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	path := scheduleFile(t, durableSecond)
	opt := Options{Path: path, Catalog: catalog(t), Client: tasks.NewClient(b), Redis: b.Redis(), Logger: testenv.Quiet()}
	needs, err := NeedsDatabase(opt)
	require.NoError(t, err)
	require.True(t, needs)
	_, err = New(opt)
	require.ErrorContains(t, err, `line 2: schedule "a": durable: needs the database`)

	require.NoError(t, os.WriteFile(path, []byte(everySecond), 0o600))
	needs, err = NeedsDatabase(opt)
	require.NoError(t, err)
	require.False(t, needs)
	beat, err := New(opt)
	require.NoError(t, err)
	startReady(t, beat)
	require.NoError(t, os.WriteFile(path, []byte(durableSecond), 0o600))
	testenv.Eventually(t, func() bool { return beat.watcher.current() != nil })
	require.ErrorContains(t, beat.Ready(t.Context()), "start it again")
	last := settledOf(t, beat)
	testenv.Eventually(t, func() bool { return settledOf(t, beat).After(last) }) // the last good file stays in force

	require.NoError(t, os.WriteFile(path, []byte("schedules:\n  - {name: a, task: test.noop, every: 1s, durable: 1}\n"), 0o600))
	_, err = New(opt)
	require.ErrorContains(t, err, "durable")
}

func settledOf(t *testing.T, b *Beat) time.Time {
	t.Helper()
	last, err := b.store.LastSettled(t.Context(), "a")
	require.NoError(t, err)
	return last
}
