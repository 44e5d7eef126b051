package broker_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
)

func TestCoreScenario(t *testing.T) {
	inEachMode(t, func(t *testing.T, opt broker.Options) {
		places := map[string]func(testing.TB) string{"redis": testenv.RedisURL}
		if !opt.NoPipelining && !opt.NoWakeUp {
			places["cluster"] = testenv.RedisCluster
		}
		for place, start := range places {
			t.Run(place, func(t *testing.T) {
				t.Parallel()
				url := start(t)
				b := openWith(t, url, opt)
				queues := map[string]int{"a": 2, "b": 1}
				const workers, tasks = 3, 400
				var ran sync.Map
				var runs atomic.Int32
				for range workers {
					f := b.NewFetcher(broker.FetcherConfig{Queues: queues, Slots: 4})
					serve(t, f, queues, func(ctx context.Context, task *asynq.Task) error {
						if _, again := ran.LoadOrStore(string(task.Payload()), true); again {
							t.Errorf("%s runs twice", task.Payload())
						}
						_, err := task.ResultWriter().Write(task.Payload())
						runs.Add(1)
						return err
					})
				}
				var list []*broker.Message
				for i := range tasks {
					m := message([]string{"a", "b"}[i%2], strconv.Itoa(i))
					if i%3 == 0 {
						m.Retention = time.Hour
					}
					list = append(list, m)
				}
				enqueue(t, b, list...)
				require.Eventually(t, func() bool { return runs.Load() == tasks }, patience, time.Millisecond)
				inspector := asynq.NewInspectorFromRedisClient(b.Redis())
				for _, m := range list {
					if m.Retention == 0 {
						continue
					}
					require.Eventually(t, func() bool {
						info, err := inspector.GetTaskInfo(m.Queue, m.ID)
						return err == nil && info.State == asynq.TaskStateCompleted && string(info.Result) == string(m.Payload)
					}, patience, time.Millisecond)
				}
				for _, q := range []string{"a", "b"} {
					require.Eventually(t, func() bool {
						info, err := inspector.GetQueueInfo(q)
						return err == nil && info.Active == 0 && info.Pending == 0 && info.ProcessedTotal == tasks/2
					}, patience, time.Millisecond)
				}
			})
		}
	})
}

func TestFetchesNoMoreThanIsFree(t *testing.T) {
	inEachMode(t, func(t *testing.T, opt broker.Options) {
		b := openWith(t, testenv.RedisURL(t), opt)
		enqueue(t, b, numbered("q", 300)...)
		for _, slots := range []int{0, 1, 5, 100} {
			w := newWorker(t, b, slots, map[string]int{"q": 1})
			w.SetTurnaround(time.Hour)
			var running []string
			fetch := func(limit int) {
				limit = min(max(limit, 1), 64)
				if opt.NoPipelining {
					limit = 1
				}
				for i := range limit {
					_, id := w.mustNext()
					running = append(running, id)
					require.Equal(t, limit-1-i, w.Ahead(), "%d slots", slots)
					require.EqualValues(t, len(running)+w.Ahead(), b.Redis().LLen(t.Context(), key("q", "active")).Val())
					require.EqualValues(t, len(running)+w.Ahead(), b.Redis().ZCard(t.Context(), key("q", "lease")).Val())
				}
			}
			fetch(slots)
			fetch(slots - len(running))
			for _, n := range []int{1, 3, 40} {
				for range min(n, len(running)) {
					require.NoError(t, w.done(t.Context(), "q", running[0]))
					running = running[1:]
				}
				fetch(slots - len(running))
			}
			for _, id := range running {
				require.NoError(t, w.done(t.Context(), "q", id))
			}
		}
	})
}

func TestStopPutsBackWhatIsAhead(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		enqueue(t, b, numbered("q", 12)...)
		queues := map[string]int{"q": 1}
		w := newWorker(t, b, 8, queues)
		_, id := w.mustNext()
		require.Equal(t, "0", id)
		require.Equal(t, 7, w.Ahead())

		got := make(chan string, 20)
		other := b.NewFetcher(broker.FetcherConfig{Queues: queues})
		cfg := serverConfig(queues)
		cfg.Concurrency = 1 // in order
		serveWith(t, other, cfg, func(ctx context.Context, _ *asynq.Task) error {
			got <- taskID(ctx)
			return nil
		})
		for i := 8; i < 12; i++ {
			require.Equal(t, strconv.Itoa(i), <-got)
		}
		require.Eventually(t, func() bool { return other.Deliveries() == 0 }, patience, time.Millisecond)
		begun := time.Now()
		w.Stop()
		for i := 1; i < 8; i++ {
			require.Equal(t, strconv.Itoa(i), <-got)
		}
		t.Logf("put back and run after %v", time.Since(begun))
		_, _, ok := w.next()
		require.False(t, ok, "a fetcher that has stopped finds nothing")
		require.NoError(t, w.done(t.Context(), "q", "0"), "what runs is acknowledged all the same")
		require.Eventually(t, func() bool { return b.Redis().LLen(t.Context(), key("q", "active")).Val() == 0 }, patience, time.Millisecond)
		require.Zero(t, b.Redis().ZCard(t.Context(), key("q", "lease")).Val())
	})
}

// TestStopPutsBackInOrder: also what a fetch ahead of free slots brought, or still brings.
func TestStopPutsBackInOrder(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.RedisURL(t))
	for _, arrived := range []bool{true, false} {
		require.NoError(t, b.Redis().FlushAll(t.Context()).Err())
		enqueue(t, b, numbered("q", 100)...)
		w := newWorker(t, b, 16, map[string]int{"q": 1})
		w.SetTurnaround(time.Microsecond)
		w.SetPatience(time.Hour) // also when the test is stalled
		running := 0
		for ahead := true; ahead; running++ { // the fetch ahead begins when half are left
			_, id := w.mustNext()
			require.Equal(t, strconv.Itoa(running), id)
			ahead = w.Ahead() > 8
		}
		if arrived {
			w.mustNext()
			running++
			require.Eventually(t, func() bool { return b.Redis().LLen(t.Context(), key("q", "active")).Val() == 32 }, patience, time.Millisecond)
		}
		w.Stop()
		want := make([]string, 0, 100)
		for i := running; i < 100; i++ {
			want = append(want, strconv.Itoa(i))
		}
		require.Equal(t, want, pendingIDs(t, b.Redis(), "q"))
	}
}

func TestStopWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := open(t, server.URL(0))
	enqueue(t, b, numbered("q", 64)...)
	w := newWorker(t, b, 64, map[string]int{"q": 1})
	w.mustNext()
	require.Equal(t, 63, w.Ahead())
	server.Kill()
	begun := time.Now()
	w.Stop()
	require.Less(t, time.Since(begun), patience, "63 tasks are not tried one by one")
}

func TestPausedQueueIsLeftAlone(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		inspector := asynq.NewInspectorFromRedisClient(b.Redis())
		enqueue(t, b, append(numbered("paused", 20), numbered("open", 20)...)...)
		require.NoError(t, inspector.PauseQueue("paused"))
		w := newWorker(t, b, 3, map[string]int{"paused": 100, "open": 1})
		for i := range 20 {
			queue, id := w.mustNext()
			require.Equal(t, "open", queue)
			require.Equal(t, strconv.Itoa(i), id)
		}
		require.Len(t, pendingIDs(t, b.Redis(), "paused"), 20)
		require.NoError(t, inspector.UnpauseQueue("paused"))
		queue, id := w.mustNext()
		require.Equal(t, "paused", queue)
		require.Equal(t, "0", id)
	})
}

func TestQueuesAreServedByWeight(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.RedisURL(t))
	const draws = 800
	weights := map[string]int{"a": 6, "b": 3, "c": 1, "empty": 10}
	for _, q := range []string{"a", "b", "c"} {
		enqueue(t, b, numbered(q, draws)...)
	}
	w := newWorker(t, b, 0, weights)
	got := make(map[string]int)
	for range draws {
		queue, _ := w.mustNext()
		got[queue]++
	}
	// The standard deviation is below 0.018.
	require.InDelta(t, 0.6, float64(got["a"])/draws, 0.12, "%v", got)
	require.InDelta(t, 0.3, float64(got["b"])/draws, 0.12, "%v", got)
	require.InDelta(t, 0.1, float64(got["c"])/draws, 0.09, "%v", got)
}

func TestTaskWithoutItsHashIsSkipped(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		for name, slots := range map[string]int{"one at a time": 0, "many": 8} {
			b := open(t, url)
			queue := "q" + strconv.Itoa(len(name))
			enqueue(t, b, numbered(queue, 40)...)
			for i := range 30 { // as evicted by a Redis that is full
				require.NoError(t, b.Redis().Del(t.Context(), key(queue, "t:"+strconv.Itoa(i))).Err())
				if i%3 == 1 { // and something else was put there
					require.NoError(t, b.Redis().Set(t.Context(), key(queue, "t:"+strconv.Itoa(i)), "no task", 0).Err())
				}
			}
			w := newWorker(t, b, slots, map[string]int{queue: 1})
			begun := time.Now()
			for i := 30; i < 40; i++ {
				_, id := w.mustNext()
				require.Equal(t, strconv.Itoa(i), id, name)
				require.NoError(t, w.done(t.Context(), queue, id))
			}
			require.Less(t, time.Since(begun), 10*time.Second, "each that is gone does not cost a pause")
			for _, list := range []string{"active", "pending"} {
				require.Zero(t, b.Redis().LLen(t.Context(), key(queue, list)).Val())
			}
			require.Zero(t, b.Redis().ZCard(t.Context(), key(queue, "lease")).Val())
			require.Zero(t, b.Redis().Exists(t.Context(), key(queue, "t:3")).Val(), "no stub is left")
		}
	})
}

func TestQuickTasksAreFetchedAhead(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.RedisURL(t))
	const slots = 8
	enqueue(t, b, numbered("q", 100)...)
	w := newWorker(t, b, slots, map[string]int{"q": 1})
	w.SetPatience(time.Hour) // also when the test is stalled
	for i := range 40 {      // they are done at once, and come in order
		_, id := w.mustNext()
		require.Equal(t, strconv.Itoa(i), id)
		require.LessOrEqual(t, w.Ahead(), 2*slots)
		require.NoError(t, w.done(t.Context(), "q", id))
	}
	w.Stop()
	require.Len(t, pendingIDs(t, b.Redis(), "q"), 60)

	w = newWorker(t, b, slots, map[string]int{"q": 1})
	var taken []string
	for len(taken) < 2*slots || w.Ahead() == 0 {
		w.SetTurnaround(time.Millisecond)
		_, id := w.mustNext()
		taken = append(taken, id)
	}
	// No slot wants the rest: they go back to the queue.
	require.Eventually(t, func() bool {
		return w.Ahead() == 0 &&
			b.Redis().LLen(t.Context(), key("q", "active")).Val() == int64(len(taken)) &&
			b.Redis().ZCard(t.Context(), key("q", "lease")).Val() == int64(len(taken)) &&
			b.Redis().LLen(t.Context(), key("q", "pending")).Val() == int64(60-len(taken))
	}, patience, time.Millisecond)
	want := make([]string, 0, 60)
	for i := 40; i < 100; i++ {
		want = append(want, strconv.Itoa(i))
	}
	require.ElementsMatch(t, want, append(taken, pendingIDs(t, b.Redis(), "q")...))
}

// TestFullWorkerTakesNothingAhead: a task must not wait in a worker whose slots are all taken, while another is free.
func TestFullWorkerTakesNothingAhead(t *testing.T) {
	t.Parallel()
	for name, quickBefore := range map[string]bool{"tasks are slow": false, "tasks were quick": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fullWorkers(t, quickBefore)
		})
	}
}

// fullWorkers gives workers as many tasks as they have slots together, all of which must then run.
func fullWorkers(t *testing.T, quickBefore bool) {
	b := open(t, testenv.RedisURL(t))
	queues := map[string]int{"q": 1}
	const workers, slots, rounds = 2, 4, 30
	var running atomic.Int32
	var mu sync.Mutex
	gate := make(chan struct{})
	var fetchers []*broker.Fetcher
	for range workers {
		f := b.NewFetcher(broker.FetcherConfig{Queues: queues, Slots: slots})
		fetchers = append(fetchers, f)
		cfg := serverConfig(queues)
		cfg.Concurrency = slots
		serveWith(t, f, cfg, func(context.Context, *asynq.Task) error {
			mu.Lock()
			open := gate
			mu.Unlock()
			running.Add(1)
			<-open
			running.Add(-1)
			return nil
		})
	}
	for round := range rounds {
		for _, f := range fetchers {
			if quickBefore {
				f.SetTurnaround(time.Microsecond)
			}
		}
		var all sync.WaitGroup
		for i := range workers * slots {
			all.Go(func() {
				assert.NoError(t, b.Enqueue(t.Context(), message("q", strconv.Itoa(round)+"-"+strconv.Itoa(i)))[0].Err)
			})
		}
		all.Wait()
		ok := assert.Eventually(t, func() bool { return running.Load() == workers*slots }, 6*time.Second, time.Millisecond,
			"round %d: a task waits although a slot is free", round)
		mu.Lock()
		close(gate)
		gate = make(chan struct{})
		mu.Unlock()
		if !ok {
			return
		}
		require.Eventually(t, func() bool { return running.Load() == 0 }, patience, time.Millisecond)
	}
}
