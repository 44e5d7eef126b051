package broker_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker"
)

// still is a life so long that a test alone says when workers beat.
const still = time.Hour

// mortal is a worker of the queue "q" with that life. It beats once.
func mortal(t *testing.T, b *broker.Broker, name string, slots int) *worker {
	t.Helper()
	queues := map[string]int{"q": 1}
	w := &worker{Fetcher: b.NewFetcher(broker.FetcherConfig{Name: name, Queues: queues, Slots: slots, Life: still}), t: t, queues: []string{"q"}}
	t.Cleanup(w.Stop)
	w.Begin()
	require.NoError(t, w.Beat(t.Context()))
	return w
}

// silence makes the last beat of a worker as old as that.
func silence(t *testing.T, b *broker.Broker, w *worker, ago time.Duration) {
	t.Helper()
	lives := "paidui:{q}:lives"
	last, err := b.Redis().ZScore(t.Context(), lives, w.LifeName()).Result()
	require.NoError(t, err)
	last -= float64(ago.Milliseconds())
	require.NoError(t, b.Redis().ZAddXX(t.Context(), lives, redis.Z{Score: last, Member: w.LifeName()}).Err())
}

// kill ends a worker as kill -9 does, longer ago than a life lasts.
func kill(t *testing.T, b *broker.Broker, w *worker) {
	t.Helper()
	w.Die()
	silence(t, b, w, still+time.Minute)
}

func fields(t *testing.T, b *broker.Broker, id string) map[string]string {
	t.Helper()
	held, err := b.Redis().HGetAll(t.Context(), key("q", "t:"+id)).Result()
	require.NoError(t, err)
	return held
}

func takeTasks(t *testing.T, w *worker, n int) (ids []string) {
	t.Helper()
	for range n {
		_, id := w.mustNext()
		ids = append(ids, id)
	}
	return ids
}

func TestTasksOfADeadWorkerAreTakenOver(t *testing.T) { onSingle(t, takeover) }

func takeover(t *testing.T, url string) {
	b := open(t, url)
	dead, other := mortal(t, b, "dead", 4), mortal(t, b, "other", 8)
	list := numbered("q", 5)
	list[2].Tags, list[2].Priority = []string{"tag"}, broker.High
	enqueue(t, b, list...)
	require.Equal(t, []string{"2", "0"}, takeTasks(t, dead, 2))
	require.Equal(t, 2, dead.Ahead(), "what waits in a dead worker is taken over, too")
	require.NoError(t, b.Redis().ZRem(t.Context(), key("q", "lease"), "0").Err(), "whether it has a lease or not")
	require.NoError(t, b.Redis().HSet(t.Context(), key("q", "t:1"), "watch", "1", "revoked", "why").Err())
	died, _ := b.TakenOver()

	kill(t, b, dead)
	require.NoError(t, other.Beat(t.Context()))
	for i := range 4 {
		f := fields(t, b, strconv.Itoa(i))
		require.Equal(t, "pending", f["state"], i)
		require.Equal(t, "1", f["crashes"], i)
		require.Contains(t, f["attempts"], `"number":1,"worker":"dead","started_at":"2`)
		require.Contains(t, f["attempts"], `"outcome":"crash","error":"`+broker.WorkerDied+`"`)
	}
	after, _ := b.TakenOver()
	require.EqualValues(t, 4, after-died)
	require.Zero(t, b.Redis().ZCard(t.Context(), "paidui:{q}:ended").Val(), "the dead life is done with")
	require.Equal(t, []string{other.LifeName()}, b.Redis().ZRange(t.Context(), "paidui:{q}:lives", 0, -1).Val())
	require.Zero(t, b.Redis().LLen(t.Context(), key("q", "active")).Val())
	require.Zero(t, b.Redis().ZCard(t.Context(), key("q", "lease")).Val())

	require.Equal(t, []string{"2", "0", "1", "3", "4"}, takeTasks(t, other, 5), "they go before those that wait, in their order")
	record, err := b.Find(t.Context(), "q", "0")
	require.NoError(t, err)
	require.Zero(t, record.Retried, "it costs no retry")
	require.Equal(t, "other", record.Worker)
}

// TestSecondDeathPartsTasks: they may have killed the worker together.
func TestSecondDeathPartsTasks(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		enqueue(t, b, numbered("q", 60)...)
		for death := range 2 {
			dead, other := mortal(t, b, "dead", 60), mortal(t, b, "other"+strconv.Itoa(death), 1)
			takeTasks(t, dead, 60)
			kill(t, b, dead)
			require.NoError(t, other.Beat(t.Context()))
		}
		later, err := b.Redis().ZRangeWithScores(t.Context(), key("q", "retry"), 0, -1).Result()
		require.NoError(t, err)
		require.Greater(t, len(later), 30)
		seconds := map[float64]bool{}
		for _, one := range later {
			seconds[one.Score] = true
		}
		require.Greater(t, len(seconds), 5)
		require.Equal(t, "2", fields(t, b, "7")["crashes"])
	})
}

// TestSameNameIsAnotherLife: a worker that is started again takes over what the one before it held.
func TestSameNameIsAnotherLife(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		first := mortal(t, b, "w", 1)
		enqueue(t, b, message("q", "x"))
		takeTasks(t, first, 1)
		first.Die()
		again := mortal(t, b, "w", 1)
		require.NoError(t, again.Beat(t.Context()))
		require.Equal(t, "active", fields(t, b, "x")["state"], "not before its time")
		silence(t, b, first, still+time.Minute)
		require.NoError(t, again.Beat(t.Context()))
		require.Equal(t, []string{"x"}, takeTasks(t, again, 1))
		require.NoError(t, again.done(t.Context(), "q", "x"))
	})
}

// TestLeavingWorker: after an orderly end there is nothing to wait for.
func TestLeavingWorker(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		idle, busy, other := mortal(t, b, "idle", 1), mortal(t, b, "busy", 1), mortal(t, b, "other", 1)
		enqueue(t, b, message("q", "x"))
		takeTasks(t, busy, 1)
		idle.Leave()
		idle.Leave()
		busy.Leave()
		require.Equal(t, []string{other.LifeName()}, b.Redis().ZRange(t.Context(), "paidui:{q}:lives", 0, -1).Val())
		require.Contains(t, b.Redis().ZRange(t.Context(), "paidui:{q}:ended", 0, -1).Val(), busy.LifeName())
		require.NoError(t, other.Beat(t.Context()))
		require.Zero(t, b.Redis().ZCard(t.Context(), "paidui:{q}:ended").Val())
		require.Equal(t, []string{"x"}, takeTasks(t, other, 1))
	})
}

// TestFrozenWorkerFindsItself: it was silent for too long, and goes on.
func TestFrozenWorkerFindsItself(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		queues := map[string]int{"q": 1}
		f := b.NewFetcher(broker.FetcherConfig{Name: "frozen", Queues: queues, Slots: 1, Life: still})
		cfg := serverConfig(queues)
		cfg.Concurrency = 1
		cfg.BaseContext = func() context.Context { return f.Context(context.WithoutCancel(t.Context())) }
		begun, goOn := make(chan *broker.Delivery, 2), make(chan struct{})
		serveWith(t, f, cfg, func(ctx context.Context, _ *asynq.Task) error {
			begun <- broker.CurrentDelivery(ctx)
			<-goOn
			return nil
		})
		x := message("q", "x")
		x.Retention = time.Hour
		enqueue(t, b, x)
		frozen := &worker{Fetcher: f, t: t, queues: []string{"q"}}
		d := <-begun
		require.NoError(t, d.Owned(t.Context()))

		other := mortal(t, b, "other", 1)
		silence(t, b, frozen, still+time.Minute)
		require.NoError(t, other.Beat(t.Context()))
		takeTasks(t, other, 1)
		require.NoError(t, d.Owned(t.Context()), "as far as it knows")
		d.StandStill()
		require.ErrorIs(t, d.Owned(t.Context()), broker.ErrFenced)
		require.ErrorIs(t, d.Progress(t.Context(), []byte(`{}`)), broker.ErrFenced)
		require.NoError(t, f.Beat(t.Context()))
		<-d.Terminated()
		_, revoked := d.Revoked()
		require.False(t, revoked)
		require.ErrorIs(t, d.Owned(t.Context()), broker.ErrFenced)
		before := lists(t, b.Redis(), "q")
		close(goOn)
		require.Eventually(t, func() bool { return f.Deliveries() == 0 }, patience, time.Millisecond)
		require.Equal(t, before, lists(t, b.Redis(), "q"))

		enqueue(t, b, message("q", "y"))
		require.NotNil(t, <-begun, "it gets tasks again")
		require.NoError(t, other.complete(t.Context(), "q", "x"))
	})
}

// TestRunsOfOneTaskDoNotOverlapInAWorker: it gets a task again while its lost run of it goes on.
func TestRunsOfOneTaskDoNotOverlapInAWorker(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		w := mortal(t, b, "w", 2)
		enqueue(t, b, message("q", "x"), message("q", "y"))
		takeTasks(t, w, 1)
		abandon(t, b.Redis(), "q", "x")
		require.Equal(t, []string{"y"}, takeTasks(t, w, 1))
		require.NoError(t, w.done(t.Context(), "q", "y"))
		enqueue(t, b, message("q", "z"))
		require.Equal(t, []string{"z"}, takeTasks(t, w, 1))
		require.Equal(t, "retry", fields(t, b, "x")["state"], "for a moment, and for others")
		require.Empty(t, fields(t, b, "x")["crashes"])
	})
}

// TestJudgedWorkerGetsNothing until its tasks are taken over.
func TestJudgedWorkerGetsNothing(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		judged := mortal(t, b, "judged", 1)
		enqueue(t, b, message("q", "x"), message("q", "y"))
		takeTasks(t, judged, 1)
		// As another worker leaves it that dies before it has taken over anything.
		require.NoError(t, b.Redis().ZRem(t.Context(), "paidui:{q}:lives", judged.LifeName()).Err())
		soon := redis.Z{Score: float64(time.Now().Add(time.Hour).UnixMilli()), Member: judged.LifeName()}
		require.NoError(t, b.Redis().ZAdd(t.Context(), "paidui:{q}:ended", soon).Err())
		require.NoError(t, judged.done(t.Context(), "q", "x"), "it may still end what nobody has taken over")
		require.Zero(t, b.Redis().Exists(t.Context(), key("q", "t:x")).Val())
		_, _, err := judged.try()
		require.ErrorContains(t, err, "silent for too long")
		require.Equal(t, "pending", fields(t, b, "y")["state"])
		// Whoever comes next goes on, be it the worker itself.
		soon.Score = 1
		require.NoError(t, b.Redis().ZAdd(t.Context(), "paidui:{q}:ended", soon).Err())
		require.Error(t, judged.Beat(t.Context()))
		require.Equal(t, []string{"y"}, takeTasks(t, judged, 1))
	})
}

// TestOutageIsNobodysDeath: when nobody beats it is Redis that was away.
func TestOutageIsNobodysDeath(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		const workers = 5
		var all []*worker
		enqueue(t, b, numbered("q", workers)...)
		for i := range workers {
			w := mortal(t, b, strconv.Itoa(i), 1)
			takeTasks(t, w, 1)
			all = append(all, w)
		}
		for i, w := range all {
			silence(t, b, w, time.Duration(i+1)*still)
		}
		for _, w := range all {
			require.NoError(t, w.Beat(t.Context()))
		}
		require.EqualValues(t, workers, b.Redis().ZCard(t.Context(), "paidui:{q}:lives").Val())
		for i := range workers {
			f := fields(t, b, strconv.Itoa(i))
			require.Equal(t, "active", f["state"])
			require.Empty(t, f["crashes"])
		}
		kill(t, b, all[3])
		require.NoError(t, all[0].Beat(t.Context()))
		require.Equal(t, "pending", fields(t, b, "3")["state"], "the rule holds again")
	})
}

// TestRedisAwayForLongerThanALife, and the workers live through it.
func TestRedisAwayForLongerThanALife(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t, testenv.WithArgs("--appendonly", "yes", "--appendfsync", "always"))
	b := open(t, server.URL(0))
	const life, workers = 400 * time.Millisecond, 3
	enqueue(t, b, numbered("q", 2*workers)...)
	queues := map[string]int{"q": 1}
	var begun, ended sync.WaitGroup
	begun.Add(workers)
	ended.Add(2 * workers)
	goOn := make(chan struct{})
	for range workers {
		f := b.NewFetcher(broker.FetcherConfig{Queues: queues, Slots: 1, Life: life})
		cfg := serverConfig(queues)
		cfg.Concurrency = 1
		cfg.BaseContext = func() context.Context { return f.Context(context.WithoutCancel(t.Context())) }
		var once sync.Once
		serveWith(t, f, cfg, func(ctx context.Context, _ *asynq.Task) error {
			once.Do(begun.Done)
			<-goOn
			defer ended.Done() // more than that many runs would panic
			return broker.CurrentDelivery(ctx).Owned(ctx)
		})
	}
	begun.Wait()
	server.Kill()
	<-time.After(3 * life)
	close(goOn) // the tasks end while Redis is away
	<-time.After(3 * life)
	server.Start()
	ended.Wait()
	require.Eventually(t, func() bool {
		return b.Redis().Get(t.Context(), key("q", "processed")).Val() == strconv.Itoa(2*workers)
	}, patience, time.Millisecond)
	require.Zero(t, b.Redis().Exists(t.Context(), key("q", "failed"), key("q", "active"), key("q", "retry")).Val())
	died, lapsed := b.TakenOver()
	require.Zero(t, died+lapsed)
}

// TestClocksOfHosts: Redis's clock is half a minute before or behind this machine's.
func TestClocksOfHosts(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{-30 * time.Second, 30 * time.Second} {
		e, err := redisx.StartEmbedded(context.WithoutCancel(t.Context()))
		require.NoError(t, err)
		t.Cleanup(e.Close)
		b := open(t, e.URL(0))
		now := time.Now().Add(ahead)
		e.SetTime(now)
		dead, living, other := mortal(t, b, "dead", 1), mortal(t, b, "living", 1), mortal(t, b, "other", 1)
		enqueue(t, b, message("q", "x"), message("q", "y"))
		takeTasks(t, dead, 1)
		takeTasks(t, living, 1)
		dead.Die()
		round := func(after time.Duration) {
			e.SetTime(now.Add(after))
			for _, w := range []*worker{living, other} {
				require.NoError(t, w.ZAddXX(t.Context(), key("q", "lease"), redis.Z{Member: "y"}).Err())
				require.NoError(t, w.Beat(t.Context()))
			}
		}
		for minute := time.Duration(0); minute <= still; minute += 20 * time.Minute {
			round(minute)
			require.Equal(t, "active", fields(t, b, "x")["state"], "%v: %v", ahead, minute)
		}
		round(still + time.Second)
		require.Equal(t, "pending", fields(t, b, "x")["state"], ahead)
		require.Equal(t, "active", fields(t, b, "y")["state"], ahead)
		lease := b.Redis().ZScore(t.Context(), key("q", "lease"), "y").Val()
		require.InDelta(t, now.Add(still+time.Second+30*time.Second).Unix(), lease, 1, "Redis's time, not this machine's")
	}
}

// TestFailoverToAnotherClock: the new primary's clock is far behind or before the old one's.
func TestFailoverToAnotherClock(t *testing.T) {
	t.Parallel()
	e, err := redisx.StartEmbedded(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
	t.Cleanup(e.Close)
	b := open(t, e.URL(0))
	now := time.Now()
	e.SetTime(now)
	enqueue(t, b, message("q", "x"))
	holder, other := mortal(t, b, "holder", 1), mortal(t, b, "other", 1)
	takeTasks(t, holder, 1)
	for _, jump := range []time.Duration{-10 * still, 10 * still} {
		now = now.Add(jump)
		e.SetTime(now)
		require.NoError(t, other.Beat(t.Context()))
		e.SetTime(now.Add(still / 2))
		require.NoError(t, other.Beat(t.Context()))
		require.Equal(t, "active", fields(t, b, "x")["state"], jump)
		require.NoError(t, holder.Beat(t.Context()))
	}
	holder.Die()
	for range 3 {
		now = now.Add(still / 2)
		e.SetTime(now)
		require.NoError(t, other.Beat(t.Context()))
	}
	now = now.Add(still / 2)
	e.SetTime(now)
	require.NoError(t, other.Beat(t.Context()))
	require.Equal(t, "pending", fields(t, b, "x")["state"])
}

// TestOneBeatIsOneCommand, however many queues the worker serves; it beats less than once a second.
func TestOneBeatIsOneCommand(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.RedisURL(t))
	const workers = 500
	weights := map[string]int{}
	for i := range 8 {
		weights[fmt.Sprint("q", i)] = 1
	}
	var all []*broker.Fetcher
	for range workers {
		f := b.NewFetcher(broker.FetcherConfig{Queues: weights, Slots: 1, Life: still})
		all = append(all, f)
		require.NoError(t, f.Beat(t.Context()))
	}
	before := scriptCalls(t, b.Redis())
	for _, f := range all {
		require.NoError(t, f.Beat(t.Context()))
	}
	require.Equal(t, workers, scriptCalls(t, b.Redis())-before)
	living, err := b.Workers(t.Context(), []string{"q0", "q7", "none"})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"q0": workers, "q7": workers, "none": 0}, living)
	require.Greater(t, broker.BeatEvery, time.Second)
}

// TestManyTakeOverOnce: all workers find the dead one at the same time.
func TestManyTakeOverOnce(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.RedisURL(t))
	const tasks = 300
	dead := mortal(t, b, "dead", tasks)
	enqueue(t, b, numbered("q", tasks)...)
	takeTasks(t, dead, tasks)
	var others []*worker
	for i := range 8 {
		others = append(others, mortal(t, b, strconv.Itoa(i), 1))
	}
	kill(t, b, dead)
	var all sync.WaitGroup
	for _, w := range others {
		all.Go(func() {
			for range 5 {
				assert.NoError(t, w.Beat(t.Context()))
			}
		})
	}
	all.Wait()
	require.ElementsMatch(t, func() (ids []string) {
		for i := range tasks {
			ids = append(ids, strconv.Itoa(i))
		}
		return ids
	}(), pendingIDs(t, b.Redis(), "q"))
	for i := range tasks {
		require.Equal(t, "1", fields(t, b, strconv.Itoa(i))["crashes"])
	}
}

// TestTakeoverAmongManyActiveTasks looks at them in steps, while others end.
func TestTakeoverAmongManyActiveTasks(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.RedisURL(t))
	const busy, own = 30_000, 50
	dead, other := mortal(t, b, "dead", 1), mortal(t, b, "other", 1)
	crowd := func(from int) {
		pipe := b.Redis().Pipeline()
		for i := range busy / own {
			id := fmt.Sprint("busy", from*busy+i)
			pipe.HSet(t.Context(), key("q", "t:"+id), "state", "active", "owner", other.LifeName()+".1", "pending_since", "1", "msg", "")
			pipe.LPush(t.Context(), key("q", "active"), id)
			pipe.ZAdd(t.Context(), key("q", "lease"), redis.Z{Score: 9e9, Member: id})
		}
		_, err := pipe.Exec(t.Context())
		require.NoError(t, err)
	}
	for i := range own {
		crowd(i)
		enqueue(t, b, message("q", strconv.Itoa(i)))
		dead.SetTurnaround(time.Hour)
		takeTasks(t, dead, 1)
	}
	kill(t, b, dead)
	require.NoError(t, b.Redis().ConfigResetStat(t.Context()).Err())
	require.NoError(t, other.Beat(t.Context()))
	require.Len(t, pendingIDs(t, b.Redis(), "q"), own)
	require.EqualValues(t, busy, b.Redis().LLen(t.Context(), key("q", "active")).Val())
	require.Greater(t, scriptCalls(t, b.Redis()), busy/1000, "in steps")
}
