package beat

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/tasks/ticks"
)

// whats are the kinds of the records of an entry's log, the oldest first.
func whats(t testing.TB, b *broker.Broker, entry string) []string {
	t.Helper()
	records, err := ticks.NewStore(b.Redis()).Ticks(t.Context(), entry, 0, ticks.Logged)
	require.NoError(t, err)
	list := make([]string, len(records))
	for i, r := range records {
		list[len(records)-1-i] = r.What
	}
	return list
}

// finish ends the oldest task that is pending in the queue, as an operator would.
func finish(t testing.TB, b *broker.Broker, id string) {
	t.Helper()
	client := tasks.NewClient(b)
	_, err := client.Revoke(t.Context(), id)
	require.NoError(t, err)
	testenv.Eventually(t, func() bool {
		info, err := client.Info(t.Context(), id)
		return errors.Is(err, tasks.ErrNotFound) || err == nil && info.State.Final()
	})
}

func lastID(t testing.TB, b *broker.Broker, entry string) string {
	t.Helper()
	last, err := ticks.NewStore(b.Redis()).LastOf(t.Context(), entry)
	require.NoError(t, err)
	return last.Task
}

func TestATickIsLeftOutWhileTheLastTaskRuns(t *testing.T) {
	t.Parallel()
	for _, b := range []*broker.Broker{taskstest.Broker(t, testenv.RedisURL(t)), taskstest.Embedded(t)} {
		clock := newStepClock(noon)
		path := scheduleFile(t, "schedules:\n  - {name: a, task: test.noop, every: 1m, overlap: skip}\n")
		for range 2 {
			startReady(t, newBeat(t, b, path, clock))
		}
		settled := func(n int) {
			t.Helper()
			testenv.Eventually(t, func() bool {
				last, err := ticks.NewStore(b.Redis()).LastSettled(t.Context(), "a")
				require.NoError(t, err)
				return last.Equal(noon.Add(time.Duration(n) * time.Minute))
			})
		}
		for n := 1; n <= 3; n++ {
			clock.Set(noon.Add(time.Duration(n) * time.Minute))
			settled(n)
		}
		require.Equal(t, []string{"enqueued", "overlap", "overlap"}, whats(t, b, "a"))
		finish(t, b, lastID(t, b, "a"))
		clock.Set(noon.Add(4 * time.Minute))
		settled(4)
		require.Equal(t, []string{"enqueued", "overlap", "overlap", "enqueued"}, whats(t, b, "a"))
	}
}

// TestTicksWaitForTheLastTask: one after the other, not more than may wait, though a scheduler dies on the way.
func TestTicksWaitForTheLastTask(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	path := scheduleFile(t, "schedules:\n  - {name: a, task: test.noop, every: 1m, overlap: queue, overlap_limit: 2}\n")
	clock := newStepClock(noon)
	store := ticks.NewStore(b.Redis())
	first := newBeat(t, b, path, clock)
	stop := startReady(t, first)
	waiting := func(want ...int) {
		t.Helper()
		testenv.Eventually(t, func() bool {
			last, err := store.LastOf(t.Context(), "a")
			require.NoError(t, err)
			same := len(last.Waits) == len(want)
			for i := 0; same && i < len(want); i++ {
				same = last.Waits[i].Equal(noon.Add(time.Duration(want[i]) * time.Minute))
			}
			return same
		})
	}
	for n := 1; n <= 4; n++ {
		clock.Set(noon.Add(time.Duration(n) * time.Minute))
		testenv.Eventually(t, func() bool {
			last, err := store.LastSettled(t.Context(), "a")
			require.NoError(t, err)
			return last.Equal(noon.Add(time.Duration(n) * time.Minute))
		})
	}
	waiting(3, 4)
	require.Equal(t, []string{"enqueued", "overlap"}, whats(t, b, "a"), "of three that wait the oldest is left out")

	// A scheduler dies when it has enqueued the next one; another one, whose clock is right, sees it through.
	stop()
	finish(t, b, lastID(t, b, "a"))
	dying := newBeat(t, b, path, systemClock{})
	dying.testHook = func(step string) error {
		if step == "enqueued" {
			return errors.New("killed")
		}
		return nil
	}
	r := dying.runner(dying.first.Entries()[0], dying.first, secretOf(t, b))
	require.Error(t, r.releaseOne(t.Context()))
	require.Len(t, queued(t, b.Redis(), "default", "a"), 1)
	dying.testHook, r.testHook = nil, nil
	require.NoError(t, r.releaseOne(t.Context()))
	waiting(4)
	require.Equal(t, []time.Time{noon.Add(3 * time.Minute)}, queued(t, b.Redis(), "default", "a"))
	require.NoError(t, r.releaseOne(t.Context()), "the last task has not ended")
	waiting(4)
	finish(t, b, lastID(t, b, "a"))
	require.NoError(t, r.releaseOne(t.Context()))
	waiting()
	require.Equal(t, []string{"enqueued", "overlap", "enqueued", "enqueued"}, whats(t, b, "a"))
	last, err := store.LastSettled(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, noon.Add(4*time.Minute), last)
}

func secretOf(t testing.TB, b *broker.Broker) []byte {
	t.Helper()
	secret, err := b.Redis().HGet(t.Context(), "paidui:{schedules}:current", "secret").Result()
	require.NoError(t, err)
	return []byte(secret)
}

// TestAnEntryEndsAfterItsTicks: with any number of schedulers, and after restarts.
func TestAnEntryEndsAfterItsTicks(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	path := scheduleFile(t, "schedules:\n  - {name: a, task: test.noop, every: 1s, misfire: all, max_ticks: 5}\n  - {name: b, task: test.noop, every: 1s, misfire: all}\n")
	clock := newFastClock(noon, 20)
	for range 3 {
		stop := startReady(t, newBeat(t, b, path, clock))
		testenv.Eventually(t, func() bool { return len(queued(t, b.Redis(), "default", "a")) >= 2 })
		stop()
	}
	for range 2 {
		startReady(t, newBeat(t, b, path, clock))
	}
	seen := len(queued(t, b.Redis(), "default", "b"))
	testenv.Eventually(t, func() bool { return len(queued(t, b.Redis(), "default", "b")) >= seen+20 })
	require.Len(t, queued(t, b.Redis(), "default", "a"), 5)
}

// TestADurableEntryEndsAfterItsTicksThoughRedisForgets: the database counts, too.
func TestADurableEntryEndsAfterItsTicksThoughRedisForgets(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	d := openDurables(t, b, testenv.MySQL(t))
	path := scheduleFile(t, "schedules:\n  - {name: a, task: test.noop, every: 1m, durable: true, max_ticks: 2}\n")
	clock := newStepClock(noon)
	stop := startReady(t, d.beat(t, path, clock))
	for n := 1; n <= 2; n++ {
		clock.Set(noon.Add(time.Duration(n) * time.Minute))
		testenv.Eventually(t, func() bool { return len(d.kept(t)) == n })
	}
	stop()
	require.NoError(t, b.Redis().FlushDB(t.Context()).Err())
	startReady(t, d.beat(t, path, clock))
	count, err := b.Redis().HGet(t.Context(), "paidui:{schedules}:entry:a", "count").Int()
	require.NoError(t, err)
	require.Equal(t, 2, count)
	answer, _, err := ticks.NewStore(b.Redis()).BeginOn(t.Context(), d.beat(t, path, clock).first.Hash(), "every 1m",
		ticks.Claim{Entry: "a", Tick: noon.Add(3 * time.Minute), TaskID: "x", Queue: "default"}, ticks.Terms{MaxTicks: 2})
	require.NoError(t, err)
	require.Equal(t, ticks.Exhausted, answer)
}

// TestAnEntryRunsNow: once, though the scheduler that takes the request dies; and also while the entry is paused.
func TestAnEntryRunsNow(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"taken", "run", ""} {
		t.Run("died when "+step, func(t *testing.T) {
			t.Parallel()
			b := taskstest.Broker(t, testenv.RedisURL(t))
			path := scheduleFile(t, "schedules:\n  - {name: a, task: test.sum, args: {n: 1, m: 2}, every: 1h, paused: true, queue: q}\n")
			store := ticks.NewStore(b.Redis())
			first, died := newBeat(t, b, path, systemClock{}), make(chan struct{})
			first.testHook = func(at string) error {
				if at == step {
					close(died)
					<-t.Context().Done()
				}
				return nil
			}
			startReady(t, first)
			type result struct {
				a   ticks.RunAnswer
				err error
			}
			ran := make(chan result, 1)
			go func() {
				a, err := store.Run(t.Context(), "request", "a", testenv.Patience)
				ran <- result{a, err}
			}()
			if step != "" {
				<-died
				startReady(t, newBeat(t, b, path, systemClock{}))
			}
			done := <-ran
			a, err := done.a, done.err
			require.NoError(t, err)
			require.NotEmpty(t, a.TaskID)
			again, err := store.Run(t.Context(), "request", "a", testenv.Patience)
			require.NoError(t, err)
			require.Equal(t, a, again, "the same request")
			info, err := tasks.NewClient(b).Info(t.Context(), a.TaskID)
			require.NoError(t, err)
			require.Equal(t, "test.sum", info.Task)
			require.Equal(t, []string{"manual"}, whats(t, b, "a"))
			unknown, err := store.Run(t.Context(), "other", "none", testenv.Patience)
			require.NoError(t, err)
			require.True(t, unknown.Unknown)
		})
	}
}

// TestMissedTicksAreInTheLog: those that the misfire rule drops are one record.
func TestMissedTicksAreInTheLog(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	path := scheduleFile(t, "schedules:\n  - {name: a, task: test.noop, every: 1m}\n")
	stop := startReady(t, newBeat(t, b, path, newStepClock(noon)))
	stop()
	startReady(t, newBeat(t, b, path, newStepClock(noon.Add(5*time.Minute))))
	testenv.Eventually(t, func() bool { return len(whats(t, b, "a")) == 2 })
	records, err := ticks.NewStore(b.Redis()).Ticks(t.Context(), "a", 0, 10)
	require.NoError(t, err)
	require.Equal(t, []any{ticks.LogEnqueued, noon.Add(5 * time.Minute)}, []any{records[0].What, records[0].Due})
	require.Equal(t, []any{ticks.LogMisfire, noon.Add(4 * time.Minute), 4}, []any{records[1].What, records[1].Due, records[1].Ticks})
}

// TestATickBeforeASchedulerLearnsOfItsEntryIsNotLost: an entry counts from when an operator made it.
func TestATickBeforeASchedulerLearnsOfItsEntryIsNotLost(t *testing.T) {
	t.Parallel()
	d := openTable(t, taskstest.Embedded(t), "sqlite://"+t.TempDir()+"/x.db")
	made := time.Now().UTC().Truncate(time.Second)
	d.put(t, schedule.KindEntry, "a", `{"name":"a","task":"test.noop","at":"`+made.Format(time.RFC3339)+`","queue":"q"}`, func(r *schedule.Row) { r.At = made.Add(-time.Minute) })
	b, err := New(Options{
		Content: []byte(noEntries), Catalog: catalog(t), Client: tasks.NewClient(d.b), Redis: d.b.Redis(), Table: d.table,
		Logger: testenv.Quiet(), Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	startReady(t, b)
	testenv.Eventually(t, func() bool { return len(queued(t, d.b.Redis(), "q", "a")) == 1 })
	require.Equal(t, []time.Time{made}, queued(t, d.b.Redis(), "q", "a"))
}
