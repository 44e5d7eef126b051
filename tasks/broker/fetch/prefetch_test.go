package fetch_test

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
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

func TestCoreScenario(t *testing.T) {
	brokertest.InEachMode(t, func(t *testing.T, opt broker.Options) {
		places := map[string]func(testing.TB) string{"redis": testenv.RedisURL}
		if !opt.NoPipelining && !opt.NoWakeUp {
			places["cluster"] = testenv.RedisCluster
		}
		for place, start := range places {
			t.Run(place, func(t *testing.T) {
				t.Parallel()
				url := start(t)
				b := brokertest.OpenWith(t, url, opt)
				queues := map[string]int{"a": 2, "b": 1}
				const workers, tasks = 3, 400
				var ran sync.Map
				var runs atomic.Int32
				for range workers {
					f := fetch.New(b, fetch.Config{Queues: queues, Slots: 4})
					brokertest.Serve(t, f, queues, func(ctx context.Context, task *asynq.Task) error {
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
					m := brokertest.Message([]string{"a", "b"}[i%2], strconv.Itoa(i))
					if i%3 == 0 {
						m.Retention = time.Hour
					}
					list = append(list, m)
				}
				brokertest.Enqueue(t, b, list...)
				require.Eventually(t, func() bool { return runs.Load() == tasks }, brokertest.Patience, time.Millisecond)
				inspector := asynq.NewInspectorFromRedisClient(b.Redis())
				for _, m := range list {
					if m.Retention == 0 {
						continue
					}
					require.Eventually(t, func() bool {
						info, err := inspector.GetTaskInfo(m.Queue, m.ID)
						return err == nil && info.State == asynq.TaskStateCompleted && string(info.Result) == string(m.Payload)
					}, brokertest.Patience, time.Millisecond)
				}
				for _, q := range []string{"a", "b"} {
					require.Eventually(t, func() bool {
						info, err := inspector.GetQueueInfo(q)
						return err == nil && info.Active == 0 && info.Pending == 0 && info.ProcessedTotal == tasks/2
					}, brokertest.Patience, time.Millisecond)
				}
			})
		}
	})
}

func TestFetchesNoMoreThanIsFree(t *testing.T) {
	brokertest.InEachMode(t, func(t *testing.T, opt broker.Options) {
		b := brokertest.OpenWith(t, testenv.RedisURL(t), opt)
		brokertest.Enqueue(t, b, brokertest.Numbered("q", 300)...)
		for _, slots := range []int{0, 1, 5, 100} {
			w := brokertest.NewWorker(t, b, slots, map[string]int{"q": 1})
			w.SetTurnaround(time.Hour)
			var running []string
			fetch := func(limit int) {
				limit = min(max(limit, 1), 64)
				if opt.NoPipelining {
					limit = 1
				}
				for i := range limit {
					_, id := w.MustNext()
					running = append(running, id)
					require.Equal(t, limit-1-i, w.Ahead(), "%d slots", slots)
					require.EqualValues(t, len(running)+w.Ahead(), b.Redis().LLen(t.Context(), brokertest.Key("q", "active")).Val())
					require.EqualValues(t, len(running)+w.Ahead(), b.Redis().ZCard(t.Context(), brokertest.Key("q", "lease")).Val())
				}
			}
			fetch(slots)
			fetch(slots - len(running))
			for _, n := range []int{1, 3, 40} {
				for range min(n, len(running)) {
					require.NoError(t, w.Done(t.Context(), "q", running[0]))
					running = running[1:]
				}
				fetch(slots - len(running))
			}
			for _, id := range running {
				require.NoError(t, w.Done(t.Context(), "q", id))
			}
		}
	})
}

func TestStopPutsBackWhatIsAhead(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		brokertest.Enqueue(t, b, brokertest.Numbered("q", 12)...)
		queues := map[string]int{"q": 1}
		w := brokertest.NewWorker(t, b, 8, queues)
		_, id := w.MustNext()
		require.Equal(t, "0", id)
		require.Equal(t, 7, w.Ahead())

		got := make(chan string, 20)
		other := fetch.New(b, fetch.Config{Queues: queues})
		cfg := brokertest.ServerConfig(queues)
		cfg.Concurrency = 1 // in order
		brokertest.ServeWith(t, other, cfg, func(ctx context.Context, _ *asynq.Task) error {
			got <- brokertest.TaskID(ctx)
			return nil
		})
		for i := 8; i < 12; i++ {
			require.Equal(t, strconv.Itoa(i), <-got)
		}
		require.Eventually(t, func() bool { return other.Deliveries() == 0 }, brokertest.Patience, time.Millisecond)
		begun := time.Now()
		w.Stop()
		for i := 1; i < 8; i++ {
			require.Equal(t, strconv.Itoa(i), <-got)
		}
		t.Logf("put back and run after %v", time.Since(begun))
		_, _, ok := w.Next()
		require.False(t, ok, "a fetcher that has stopped finds nothing")
		require.NoError(t, w.Done(t.Context(), "q", "0"), "what runs is acknowledged all the same")
		require.Eventually(t, func() bool { return b.Redis().LLen(t.Context(), brokertest.Key("q", "active")).Val() == 0 }, brokertest.Patience, time.Millisecond)
		require.Zero(t, b.Redis().ZCard(t.Context(), brokertest.Key("q", "lease")).Val())
	})
}

// TestStopPutsBackInOrder: also what a fetch ahead of free slots brought, or still brings.
func TestStopPutsBackInOrder(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	for _, arrived := range []bool{true, false} {
		require.NoError(t, b.Redis().FlushAll(t.Context()).Err())
		brokertest.Enqueue(t, b, brokertest.Numbered("q", 100)...)
		w := brokertest.NewWorker(t, b, 16, map[string]int{"q": 1})
		w.SetTurnaround(time.Microsecond)
		w.SetPatience(time.Hour) // also when the test is stalled
		running := 0
		for ahead := true; ahead; running++ { // the fetch ahead begins when half are left
			_, id := w.MustNext()
			require.Equal(t, strconv.Itoa(running), id)
			ahead = w.Ahead() > 8
		}
		if arrived {
			w.MustNext()
			running++
			require.Eventually(t, func() bool { return b.Redis().LLen(t.Context(), brokertest.Key("q", "active")).Val() == 32 }, brokertest.Patience, time.Millisecond)
		}
		w.Stop()
		want := make([]string, 0, 100)
		for i := running; i < 100; i++ {
			want = append(want, strconv.Itoa(i))
		}
		require.Equal(t, want, brokertest.PendingIDs(t, b.Redis(), "q"))
	}
}

func TestStopWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := brokertest.Open(t, server.URL(0))
	brokertest.Enqueue(t, b, brokertest.Numbered("q", 64)...)
	w := brokertest.NewWorker(t, b, 64, map[string]int{"q": 1})
	w.MustNext()
	require.Equal(t, 63, w.Ahead())
	server.Kill()
	begun := time.Now()
	w.Stop()
	require.Less(t, time.Since(begun), brokertest.Patience, "63 tasks are not tried one by one")
}

func TestPausedQueueIsLeftAlone(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		inspector := asynq.NewInspectorFromRedisClient(b.Redis())
		brokertest.Enqueue(t, b, append(brokertest.Numbered("paused", 20), brokertest.Numbered("open", 20)...)...)
		require.NoError(t, inspector.PauseQueue("paused"))
		w := brokertest.NewWorker(t, b, 3, map[string]int{"paused": 100, "open": 1})
		for i := range 20 {
			queue, id := w.MustNext()
			require.Equal(t, "open", queue)
			require.Equal(t, strconv.Itoa(i), id)
		}
		require.Len(t, brokertest.PendingIDs(t, b.Redis(), "paused"), 20)
		require.NoError(t, inspector.UnpauseQueue("paused"))
		queue, id := w.MustNext()
		require.Equal(t, "paused", queue)
		require.Equal(t, "0", id)
	})
}

func TestQueuesAreServedByWeight(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	const draws = 800
	weights := map[string]int{"a": 6, "b": 3, "c": 1, "empty": 10}
	for _, q := range []string{"a", "b", "c"} {
		brokertest.Enqueue(t, b, brokertest.Numbered(q, draws)...)
	}
	w := brokertest.NewWorker(t, b, 0, weights)
	got := make(map[string]int)
	for range draws {
		queue, _ := w.MustNext()
		got[queue]++
	}
	// The standard deviation is below 0.018.
	require.InDelta(t, 0.6, float64(got["a"])/draws, 0.12, "%v", got)
	require.InDelta(t, 0.3, float64(got["b"])/draws, 0.12, "%v", got)
	require.InDelta(t, 0.1, float64(got["c"])/draws, 0.09, "%v", got)
}

func TestTaskWithoutItsHashIsSkipped(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		for name, slots := range map[string]int{"one at a time": 0, "many": 8} {
			b := brokertest.Open(t, url)
			queue := "q" + strconv.Itoa(len(name))
			brokertest.Enqueue(t, b, brokertest.Numbered(queue, 40)...)
			for i := range 30 { // as evicted by a Redis that is full
				require.NoError(t, b.Redis().Del(t.Context(), brokertest.Key(queue, "t:"+strconv.Itoa(i))).Err())
				if i%3 == 1 { // and something else was put there
					require.NoError(t, b.Redis().Set(t.Context(), brokertest.Key(queue, "t:"+strconv.Itoa(i)), "no task", 0).Err())
				}
			}
			w := brokertest.NewWorker(t, b, slots, map[string]int{queue: 1})
			begun := time.Now()
			for i := 30; i < 40; i++ {
				_, id := w.MustNext()
				require.Equal(t, strconv.Itoa(i), id, name)
				require.NoError(t, w.Done(t.Context(), queue, id))
			}
			require.Less(t, time.Since(begun), 10*time.Second, "each that is gone does not cost a pause")
			for _, list := range []string{"active", "pending"} {
				require.Zero(t, b.Redis().LLen(t.Context(), brokertest.Key(queue, list)).Val())
			}
			require.Zero(t, b.Redis().ZCard(t.Context(), brokertest.Key(queue, "lease")).Val())
			require.Zero(t, b.Redis().Exists(t.Context(), brokertest.Key(queue, "t:3")).Val(), "no stub is left")
		}
	})
}

func TestQuickTasksAreFetchedAhead(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	const slots = 8
	brokertest.Enqueue(t, b, brokertest.Numbered("q", 100)...)
	w := brokertest.NewWorker(t, b, slots, map[string]int{"q": 1})
	w.SetPatience(time.Hour) // also when the test is stalled
	for i := range 40 {      // they are done at once, and come in order
		_, id := w.MustNext()
		require.Equal(t, strconv.Itoa(i), id)
		require.LessOrEqual(t, w.Ahead(), 2*slots)
		require.NoError(t, w.Done(t.Context(), "q", id))
	}
	w.Stop()
	require.Len(t, brokertest.PendingIDs(t, b.Redis(), "q"), 60)

	w = brokertest.NewWorker(t, b, slots, map[string]int{"q": 1})
	var taken []string
	for len(taken) < 2*slots || w.Ahead() == 0 {
		w.SetTurnaround(time.Millisecond)
		_, id := w.MustNext()
		taken = append(taken, id)
	}
	// No slot wants the rest: they go back to the queue.
	require.Eventually(t, func() bool {
		return w.Ahead() == 0 &&
			b.Redis().LLen(t.Context(), brokertest.Key("q", "active")).Val() == int64(len(taken)) &&
			b.Redis().ZCard(t.Context(), brokertest.Key("q", "lease")).Val() == int64(len(taken)) &&
			b.Redis().LLen(t.Context(), brokertest.Key("q", "pending")).Val() == int64(60-len(taken))
	}, brokertest.Patience, time.Millisecond)
	want := make([]string, 0, 60)
	for i := 40; i < 100; i++ {
		want = append(want, strconv.Itoa(i))
	}
	require.ElementsMatch(t, want, append(taken, brokertest.PendingIDs(t, b.Redis(), "q")...))
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
	b := brokertest.Open(t, testenv.RedisURL(t))
	queues := map[string]int{"q": 1}
	const workers, slots, rounds = 2, 4, 30
	var running atomic.Int32
	var mu sync.Mutex
	gate := make(chan struct{})
	var fetchers []*fetch.Fetcher
	for range workers {
		f := fetch.New(b, fetch.Config{Queues: queues, Slots: slots})
		fetchers = append(fetchers, f)
		cfg := brokertest.ServerConfig(queues)
		cfg.Concurrency = slots
		brokertest.ServeWith(t, f, cfg, func(context.Context, *asynq.Task) error {
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
				assert.NoError(t, b.Enqueue(t.Context(), brokertest.Message("q", strconv.Itoa(round)+"-"+strconv.Itoa(i)))[0].Err)
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
		require.Eventually(t, func() bool { return running.Load() == 0 }, brokertest.Patience, time.Millisecond)
	}
}
