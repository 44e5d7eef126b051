package broker_test

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
			b := openWith(t, testenv.RedisURL(t), c.opt)
			queues := map[string]int{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
			f := b.NewFetcher(broker.FetcherConfig{Queues: queues, Slots: 10})
			serve(t, f, queues, func(context.Context, *asynq.Task) error { return nil })
			awaitFetch(t, f)
			commands := func() int { return stats(t, b.Redis(), "stats")["total_commands_processed"] }
			middleOfASecond()
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
func TestDequeueEndsLongBeforeItsLease(t *testing.T) { onSingle(t, dequeueEndsLongBeforeItsLease) }

func dequeueEndsLongBeforeItsLease(t *testing.T, url string) {
	b := open(t, url)
	f := b.NewFetcher(broker.FetcherConfig{Queues: map[string]int{"q": 1}, Slots: 4})
	t.Cleanup(f.Stop)
	keys := []string{key("q", "pending"), key("q", "paused"), key("q", "active"), key("q", "lease")}
	begun := time.Now()
	answer := make(chan error, 1)
	go func() {
		answer <- f.EvalSha(context.Background(), "dequeue", keys, begun.Add(30*time.Second).Unix(), key("q", "t:")).Err()
	}()
	select {
	case err := <-answer:
		require.ErrorIs(t, err, redis.Nil)
		require.Greater(t, time.Since(begun), time.Second, "an idle worker hardly asks")
	case <-time.After(patience):
		require.Fail(t, "the call waits on")
	}
}

// quickly is what no task reaches that waits for the fallback of a second.
const quickly = 400 * time.Millisecond

func TestEnqueueWakesAnIdleWorker(t *testing.T) { onSingle(t, enqueueWakesAnIdleWorker) }

func enqueueWakesAnIdleWorker(t *testing.T, url string) {
	worker, producer := open(t, url), open(t, url)
	got := make(chan string, 100)
	queues := map[string]int{"a": 1, "b": 1}
	f := worker.NewFetcher(broker.FetcherConfig{Queues: queues, Slots: 4})
	serve(t, f, queues, func(ctx context.Context, _ *asynq.Task) error {
		got <- taskID(ctx)
		return nil
	})
	awaitFetch(t, f)
	client := asynq.NewClientFromRedisClient(producer.Redis())
	const rounds = 45
	quick := 0
	for i := range rounds {
		id, queue := strconv.Itoa(i), []string{"a", "b"}[i%2]
		begun := time.Now()
		switch i % 3 {
		case 0:
			enqueue(t, producer, message(queue, id))
		case 1:
			r := producer.EnqueueIf(t.Context(), broker.Gate{Source: "return true"}, message(queue, id))
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
	b := open(t, testenv.RedisURL(t))
	w := newWorker(t, b, 0, map[string]int{"q": 1})
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
			_, id, _ := w.next()
			arrived <- id
		}()
		// The worker has used the wake-up when the element is gone.
		require.Eventually(t, func() bool { return b.Redis().LLen(t.Context(), "paidui:{q}:wake").Val() == 0 }, patience, time.Millisecond)
		enqueue(t, b, message("q", id))
		require.Equal(t, id, <-arrived)
		if time.Since(begun) < quickly {
			quick++
		}
		require.NoError(t, w.done(t.Context(), "q", id))
	}
	require.GreaterOrEqual(t, quick, rounds*3/4)
	require.NoError(t, b.Ring(t.Context(), "q"))
	require.Positive(t, b.Redis().PTTL(t.Context(), "paidui:{q}:wake").Val(), "one that nobody uses is forgotten")
}

func TestWakeUpsTurnedOff(t *testing.T) {
	t.Parallel()
	b := openWith(t, testenv.RedisURL(t), broker.Options{NoWakeUp: true})
	enqueue(t, b, numbered("q", 10)...)
	require.NoError(t, b.Ring(t.Context(), "q"))
	w := newWorker(t, b, 5, map[string]int{"q": 1})
	w.mustNext()
	w.Stop()
	require.Zero(t, b.Redis().Exists(t.Context(), "paidui:{q}:wake").Val())
}

// herd are idle fetchers in one process, each with a goroutine that takes its tasks one by one.
func herd(t *testing.T, b *broker.Broker, n, slots int, run func(worker int, id string)) {
	t.Helper()
	var all sync.WaitGroup
	var workers []*worker
	for i := range n {
		w := newWorker(t, b, slots, map[string]int{"q": 1})
		workers = append(workers, w)
		all.Go(func() {
			for {
				queue, id, ok := w.next()
				if !ok {
					return
				}
				run(i, id)
				if err := w.done(context.Background(), queue, id); err != nil {
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
		awaitFetch(t, w.Fetcher)
	}
}

func TestATaskWakesFewOfManyWorkers(t *testing.T) {
	t.Parallel()
	const workers, tasks = 80, 60
	b := open(t, testenv.RedisURL(t)+"?pool_size=200") // each that waits has a connection
	ran := make(chan string, tasks)
	herd(t, b, workers, 1, func(_ int, id string) { ran <- id })
	calls := func() int { return scriptCalls(t, b.Redis()) }
	middleOfASecond()
	before, begun := calls(), time.Now()
	<-time.After(time.Until(begun.Add(2 * time.Second)))
	idle := float64(calls()-before) / time.Since(begun).Seconds()

	before, begun = calls(), time.Now()
	for i := range tasks {
		enqueue(t, b, message("q", strconv.Itoa(i)))
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
	b := open(t, testenv.RedisURL(t)+"?pool_size=200")
	var shares [workers]atomic.Int32
	var all sync.WaitGroup
	all.Add(tasks)
	herd(t, b, workers, 4, func(worker int, _ string) {
		shares[worker].Add(1)
		<-time.After(20 * time.Millisecond) // the work
		all.Done()
	})
	begun := time.Now()
	enqueue(t, b, numbered("q", tasks)...)
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
