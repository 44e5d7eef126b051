package fetch_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

func TestIdleWorkerHardlyAsks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opt   broker.Options
		limit float64
	}{
		"standard":   {broker.Options{}, 30}, // those within scripts included, of which one beat for five queues has 14
		"no wake-up": {broker.Options{NoWakeUp: true}, 110},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.OpenWith(t, testenv.RedisURL(t), c.opt)
			queues := map[string]int{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
			f := fetch.New(b, fetch.Config{Queues: queues, Slots: 10})
			brokertest.Serve(t, f, queues, func(context.Context, *asynq.Task) error { return nil })
			brokertest.AwaitFetch(t, f)
			commands := func() int { return brokertest.Stats(t, b.Redis(), "stats")["total_commands_processed"] }
			brokertest.MiddleOfASecond()
			before, begun := commands(), time.Now()
			<-time.After(time.Until(begun.Add(3 * time.Second)))
			perSecond := float64(commands()-before) / time.Since(begun).Seconds()
			t.Logf("%.1f commands a second", perSecond)
			require.LessOrEqual(t, perSecond, c.limit, "commands a second of an idle worker; asynq alone would make thousands here")
			require.Greater(t, perSecond, 1.0, "the fallback asks")
		})
	}
}

// asynq counts a task's lease of 30 s from the beginning of the call that brings it, and drops an acknowledgement that comes
// after it: the first task after an idle time would run twice.
func TestDequeueEndsLongBeforeItsLease(t *testing.T) {
	brokertest.OnSingle(t, dequeueEndsLongBeforeItsLease)
}

func dequeueEndsLongBeforeItsLease(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	f := fetch.New(b, fetch.Config{Queues: map[string]int{"q": 1}, Slots: 4})
	t.Cleanup(f.Stop)
	keys := []string{brokertest.Key("q", "pending"), brokertest.Key("q", "paused"), brokertest.Key("q", "active"), brokertest.Key("q", "lease")}
	begun := time.Now()
	answer := make(chan error, 1)
	go func() {
		answer <- f.EvalSha(context.Background(), "dequeue", keys, begun.Add(30*time.Second).Unix(), brokertest.Key("q", "t:")).Err()
	}()
	select {
	case err := <-answer:
		require.ErrorIs(t, err, redis.Nil)
		require.Greater(t, time.Since(begun), time.Second, "an idle worker hardly asks")
	case <-time.After(brokertest.Patience):
		require.Fail(t, "the call waits on")
	}
}

// quickly is what no task reaches that waits for the fallback of a second.
const quickly = 400 * time.Millisecond

func TestEnqueueWakesAnIdleWorker(t *testing.T) { brokertest.OnSingle(t, enqueueWakesAnIdleWorker) }

func enqueueWakesAnIdleWorker(t *testing.T, url string) {
	worker, producer := brokertest.Open(t, url), brokertest.Open(t, url)
	got := make(chan string, 100)
	queues := map[string]int{"a": 1, "b": 1}
	f := fetch.New(worker, fetch.Config{Queues: queues, Slots: 4})
	brokertest.Serve(t, f, queues, func(ctx context.Context, _ *asynq.Task) error {
		got <- brokertest.TaskID(ctx)
		return nil
	})
	brokertest.AwaitFetch(t, f)
	client := asynq.NewClientFromRedisClient(producer.Redis())
	const rounds = 45
	quick := 0
	for i := range rounds {
		id, queue := strconv.Itoa(i), []string{"a", "b"}[i%2]
		begun := time.Now()
		switch i % 3 {
		case 0:
			brokertest.Enqueue(t, producer, brokertest.Message(queue, id))
		case 1:
			r := producer.EnqueueIf(t.Context(), broker.Gate{Script: brokertest.Gate("return true")}, brokertest.Message(queue, id))
			require.Equal(t, broker.Receipt{Outcome: broker.Made}, r)
		case 2: // another program's client, and Ring
			_, err := client.Enqueue(asynq.NewTask("t", nil), asynq.Queue(queue), asynq.TaskID(id))
			require.NoError(t, err)
			require.NoError(t, producer.Ring(t.Context(), queue))
		}
		require.Equal(t, id, <-got)
		if took := time.Since(begun); took < quickly {
			quick++
		} else {
			t.Logf("round %d: %v", i, took)
		}
	}
	require.GreaterOrEqual(t, quick, rounds*3/4, "of %d tasks picked up well before the fallback", rounds)
}

// TestWakeUpBeforeTheWait: the element stays for whoever waits next.
func TestWakeUpBeforeTheWait(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	w := brokertest.NewWorker(t, b, 0, map[string]int{"q": 1})
	quick := 0
	const rounds = 20
	for i := range rounds {
		id := strconv.Itoa(i)
		require.NoError(t, b.Redis().Del(t.Context(), "paidui:{q}:wake").Err())
		require.NoError(t, b.Ring(t.Context(), "q")) // nobody waits, and there is no task yet
		require.EqualValues(t, 1, b.Redis().LLen(t.Context(), "paidui:{q}:wake").Val())
		arrived := make(chan string)
		begun := time.Now()
		go func() {
			_, id, _ := w.Next()
			arrived <- id
		}()
		// The worker has used the wake-up when the element is gone.
		require.Eventually(t, func() bool { return b.Redis().LLen(t.Context(), "paidui:{q}:wake").Val() == 0 }, brokertest.Patience, time.Millisecond)
		brokertest.Enqueue(t, b, brokertest.Message("q", id))
		require.Equal(t, id, <-arrived)
		if time.Since(begun) < quickly {
			quick++
		}
		require.NoError(t, w.Done(t.Context(), "q", id))
	}
	require.GreaterOrEqual(t, quick, rounds*3/4)
	require.NoError(t, b.Ring(t.Context(), "q"))
	require.Positive(t, b.Redis().PTTL(t.Context(), "paidui:{q}:wake").Val(), "one that nobody uses is forgotten")
}

func TestWakeUpsTurnedOff(t *testing.T) {
	t.Parallel()
	b := brokertest.OpenWith(t, testenv.RedisURL(t), broker.Options{NoWakeUp: true})
	brokertest.Enqueue(t, b, brokertest.Numbered("q", 10)...)
	require.NoError(t, b.Ring(t.Context(), "q"))
	w := brokertest.NewWorker(t, b, 5, map[string]int{"q": 1})
	w.MustNext()
	w.Stop()
	require.Zero(t, b.Redis().Exists(t.Context(), "paidui:{q}:wake").Val())
}

// herd are idle fetchers in one process, each with a goroutine that takes its tasks one by one.
func herd(t *testing.T, b *broker.Broker, n, slots int, run func(worker int, id string)) {
	t.Helper()
	var all sync.WaitGroup
	var workers []*brokertest.Worker
	for i := range n {
		w := brokertest.NewWorker(t, b, slots, map[string]int{"q": 1})
		workers = append(workers, w)
		all.Go(func() {
			for {
				queue, id, ok := w.Next()
				if !ok {
					return
				}
				run(i, id)
				if err := w.Done(context.Background(), queue, id); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			}
		})
	}
	t.Cleanup(func() {
		for _, w := range workers {
			w.Stop()
		}
		all.Wait()
	})
	for _, w := range workers {
		brokertest.AwaitFetch(t, w.Fetcher)
	}
}

func TestATaskWakesFewOfManyWorkers(t *testing.T) {
	t.Parallel()
	const workers, tasks = 80, 60
	b := brokertest.Open(t, testenv.RedisURL(t)+"?pool_size=200") // each that waits has a connection
	ran := make(chan string, tasks)
	herd(t, b, workers, 1, func(_ int, id string) { ran <- id })
	calls := func() int { return brokertest.ScriptCalls(t, b.Redis()) }
	brokertest.MiddleOfASecond()
	before, begun := calls(), time.Now()
	<-time.After(time.Until(begun.Add(2 * time.Second)))
	idle := float64(calls()-before) / time.Since(begun).Seconds()

	before, begun = calls(), time.Now()
	for i := range tasks {
		brokertest.Enqueue(t, b, brokertest.Message("q", strconv.Itoa(i)))
		require.Equal(t, strconv.Itoa(i), <-ran)
	}
	elapsed := time.Since(begun).Seconds()
	each := (float64(calls()-before) - idle*elapsed) / tasks
	t.Logf("%.1f scripts a second while idle; %.1f a task; %.1f s", idle, each, elapsed)
	require.LessOrEqual(t, each, 10.0, "scripts a task, of which some five are needed")
}

func TestABurstIsShared(t *testing.T) {
	t.Parallel()
	const workers, tasks = 50, 500
	b := brokertest.Open(t, testenv.RedisURL(t)+"?pool_size=200")
	var shares [workers]atomic.Int32
	var all sync.WaitGroup
	all.Add(tasks)
	herd(t, b, workers, 4, func(worker int, _ string) {
		shares[worker].Add(1)
		<-time.After(20 * time.Millisecond) // the work
		all.Done()
	})
	begun := time.Now()
	brokertest.Enqueue(t, b, brokertest.Numbered("q", tasks)...)
	all.Wait()
	busy := 0
	for i := range shares {
		if shares[i].Load() > 0 {
			busy++
		}
	}
	t.Logf("%d workers in %v", busy, time.Since(begun))
	require.GreaterOrEqual(t, busy, workers/2, "workers with a part of the burst")
	require.Less(t, time.Since(begun), 8*time.Second, "one worker alone needs at least 10")
}
