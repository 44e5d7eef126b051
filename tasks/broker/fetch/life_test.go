package fetch_test

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
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

func TestTasksOfADeadWorkerAreTakenOver(t *testing.T) { brokertest.OnSingle(t, takeover) }

func takeover(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	dead, other := brokertest.Mortal(t, b, "dead", 4), brokertest.Mortal(t, b, "other", 8)
	list := brokertest.Numbered("q", 5)
	list[2].Tags, list[2].Priority = []string{"tag"}, broker.High
	brokertest.Enqueue(t, b, list...)
	require.Equal(t, []string{"2", "0"}, brokertest.TakeTasks(t, dead, 2))
	require.Equal(t, 2, dead.Ahead(), "what waits in a dead worker is taken over, too")
	require.NoError(t, b.Redis().ZRem(t.Context(), brokertest.Key("q", "lease"), "0").Err(), "whether it has a lease or not")
	require.NoError(t, b.Redis().HSet(t.Context(), brokertest.Key("q", "t:1"), "watch", "1", "revoked", "why").Err())
	died, _ := b.TakenOver()

	brokertest.Kill(t, b, dead)
	require.NoError(t, other.Beat(t.Context()))
	for i := range 4 {
		f := brokertest.Fields(t, b, strconv.Itoa(i))
		require.Equal(t, "pending", f["state"], i)
		require.Equal(t, "1", f["crashes"], i)
		require.Contains(t, f["attempts"], `"number":1,"worker":"dead","started_at":"2`)
		require.Contains(t, f["attempts"], `"outcome":"crash","error":"`+fetch.WorkerDied+`"`)
	}
	after, _ := b.TakenOver()
	require.EqualValues(t, 4, after-died)
	require.Zero(t, b.Redis().ZCard(t.Context(), "paidui:{q}:ended").Val(), "the dead life is done with")
	require.Equal(t, []string{other.LifeName()}, b.Redis().ZRange(t.Context(), "paidui:{q}:lives", 0, -1).Val())
	require.Zero(t, b.Redis().LLen(t.Context(), brokertest.Key("q", "active")).Val())
	require.Zero(t, b.Redis().ZCard(t.Context(), brokertest.Key("q", "lease")).Val())

	require.Equal(t, []string{"2", "0", "1", "3", "4"}, brokertest.TakeTasks(t, other, 5), "they go before those that wait, in their order")
	record, err := b.Find(t.Context(), "q", "0")
	require.NoError(t, err)
	require.Zero(t, record.Retried, "it costs no retry")
	require.Equal(t, "other", record.Worker)
}

// TestSecondDeathPartsTasks: they may have killed the worker together.
func TestSecondDeathPartsTasks(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		brokertest.Enqueue(t, b, brokertest.Numbered("q", 60)...)
		for death := range 2 {
			dead, other := brokertest.Mortal(t, b, "dead", 60), brokertest.Mortal(t, b, "other"+strconv.Itoa(death), 1)
			brokertest.TakeTasks(t, dead, 60)
			brokertest.Kill(t, b, dead)
			require.NoError(t, other.Beat(t.Context()))
		}
		later, err := b.Redis().ZRangeWithScores(t.Context(), brokertest.Key("q", "retry"), 0, -1).Result()
		require.NoError(t, err)
		require.Greater(t, len(later), 30)
		seconds := map[float64]bool{}
		for _, one := range later {
			seconds[one.Score] = true
		}
		require.Greater(t, len(seconds), 5)
		require.Equal(t, "2", brokertest.Fields(t, b, "7")["crashes"])
	})
}

// TestSameNameIsAnotherLife: a worker that is started again takes over what the one before it held.
func TestSameNameIsAnotherLife(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		first := brokertest.Mortal(t, b, "w", 1)
		brokertest.Enqueue(t, b, brokertest.Message("q", "x"))
		brokertest.TakeTasks(t, first, 1)
		first.Die()
		again := brokertest.Mortal(t, b, "w", 1)
		require.NoError(t, again.Beat(t.Context()))
		require.Equal(t, "active", brokertest.Fields(t, b, "x")["state"], "not before its time")
		brokertest.Silence(t, b, first, brokertest.Still+time.Minute)
		require.NoError(t, again.Beat(t.Context()))
		require.Equal(t, []string{"x"}, brokertest.TakeTasks(t, again, 1))
		require.NoError(t, again.Done(t.Context(), "q", "x"))
	})
}

// TestLeavingWorker: after an orderly end there is nothing to wait for.
func TestLeavingWorker(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		idle, busy, other := brokertest.Mortal(t, b, "idle", 1), brokertest.Mortal(t, b, "busy", 1), brokertest.Mortal(t, b, "other", 1)
		idle.Begin()
		brokertest.Enqueue(t, b, brokertest.Message("q", "x"))
		brokertest.TakeTasks(t, busy, 1)
		idle.Leave()
		idle.Leave()
		busy.Leave()
		require.Equal(t, []string{other.LifeName()}, b.Redis().ZRange(t.Context(), "paidui:{q}:lives", 0, -1).Val())
		require.Contains(t, b.Redis().ZRange(t.Context(), "paidui:{q}:ended", 0, -1).Val(), busy.LifeName())
		require.NoError(t, other.Beat(t.Context()))
		require.Zero(t, b.Redis().ZCard(t.Context(), "paidui:{q}:ended").Val())
		require.Equal(t, []string{"x"}, brokertest.TakeTasks(t, other, 1))
	})
}

// TestFrozenWorkerFindsItself: it was silent for too long, and goes on.
func TestFrozenWorkerFindsItself(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		queues := map[string]int{"q": 1}
		f := fetch.New(b, fetch.Config{Name: "frozen", Queues: queues, Slots: 1, Life: brokertest.Still})
		cfg := brokertest.ServerConfig(queues)
		cfg.Concurrency = 1
		cfg.BaseContext = func() context.Context { return f.Context(context.WithoutCancel(t.Context())) }
		begun, goOn := make(chan *fetch.Delivery, 2), make(chan struct{})
		brokertest.ServeWith(t, f, cfg, func(ctx context.Context, _ *asynq.Task) error {
			begun <- fetch.CurrentDelivery(ctx)
			<-goOn
			return nil
		})
		x := brokertest.Message("q", "x")
		x.Retention = time.Hour
		brokertest.Enqueue(t, b, x)
		frozen := brokertest.Of(t, f, "frozen", "q")
		d := <-begun
		require.NoError(t, d.Owned(t.Context()))

		other := brokertest.Mortal(t, b, "other", 1)
		brokertest.Silence(t, b, frozen, brokertest.Still+time.Minute)
		require.NoError(t, other.Beat(t.Context()))
		brokertest.TakeTasks(t, other, 1)
		require.NoError(t, d.Owned(t.Context()), "as far as it knows")
		d.StandStill()
		require.ErrorIs(t, d.Owned(t.Context()), fetch.ErrFenced)
		require.ErrorIs(t, d.Progress(t.Context(), []byte(`{}`)), fetch.ErrFenced)
		require.NoError(t, f.Beat(t.Context()))
		<-d.Terminated()
		_, revoked := d.Revoked()
		require.False(t, revoked)
		require.ErrorIs(t, d.Owned(t.Context()), fetch.ErrFenced)
		before := lists(t, b.Redis(), "q")
		close(goOn)
		require.Eventually(t, func() bool { return f.Deliveries() == 0 }, brokertest.Patience, time.Millisecond)
		require.Equal(t, before, lists(t, b.Redis(), "q"))

		brokertest.Enqueue(t, b, brokertest.Message("q", "y"))
		require.NotNil(t, <-begun, "it gets tasks again")
		require.NoError(t, other.Complete(t.Context(), "q", "x"))
	})
}

// TestRunsOfOneTaskDoNotOverlapInAWorker: it gets a task again while its lost run of it goes on.
func TestRunsOfOneTaskDoNotOverlapInAWorker(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		w := brokertest.Mortal(t, b, "w", 2)
		brokertest.Enqueue(t, b, brokertest.Message("q", "x"), brokertest.Message("q", "y"))
		brokertest.TakeTasks(t, w, 1)
		abandon(t, b.Redis(), "q", "x")
		require.Equal(t, []string{"y"}, brokertest.TakeTasks(t, w, 1))
		require.NoError(t, w.Done(t.Context(), "q", "y"))
		brokertest.Enqueue(t, b, brokertest.Message("q", "z"))
		require.Equal(t, []string{"z"}, brokertest.TakeTasks(t, w, 1))
		require.Equal(t, "retry", brokertest.Fields(t, b, "x")["state"], "for a moment, and for others")
		require.Empty(t, brokertest.Fields(t, b, "x")["crashes"])
	})
}

// TestJudgedWorkerGetsNothing until its tasks are taken over.
func TestJudgedWorkerGetsNothing(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		judged := brokertest.Mortal(t, b, "judged", 1)
		brokertest.Enqueue(t, b, brokertest.Message("q", "x"), brokertest.Message("q", "y"))
		brokertest.TakeTasks(t, judged, 1)
		// As another worker leaves it that dies before it has taken over anything.
		require.NoError(t, b.Redis().ZRem(t.Context(), "paidui:{q}:lives", judged.LifeName()).Err())
		soon := redis.Z{Score: float64(time.Now().Add(time.Hour).UnixMilli()), Member: judged.LifeName()}
		require.NoError(t, b.Redis().ZAdd(t.Context(), "paidui:{q}:ended", soon).Err())
		require.NoError(t, judged.Done(t.Context(), "q", "x"), "it may brokertest.Still end what nobody has taken over")
		require.Zero(t, b.Redis().Exists(t.Context(), brokertest.Key("q", "t:x")).Val())
		_, _, err := judged.Try()
		require.ErrorContains(t, err, "silent for too long")
		require.Equal(t, "pending", brokertest.Fields(t, b, "y")["state"])
		// Whoever comes next goes on, be it the worker itself.
		soon.Score = 1
		require.NoError(t, b.Redis().ZAdd(t.Context(), "paidui:{q}:ended", soon).Err())
		require.Error(t, judged.Beat(t.Context()))
		require.Equal(t, []string{"y"}, brokertest.TakeTasks(t, judged, 1))
	})
}

// TestOutageIsNobodysDeath: when nobody beats it is Redis that was away.
func TestOutageIsNobodysDeath(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		const workers = 5
		var all []*brokertest.Worker
		brokertest.Enqueue(t, b, brokertest.Numbered("q", workers)...)
		for i := range workers {
			w := brokertest.Mortal(t, b, strconv.Itoa(i), 1)
			brokertest.TakeTasks(t, w, 1)
			all = append(all, w)
		}
		for i, w := range all {
			brokertest.Silence(t, b, w, time.Duration(i+1)*brokertest.Still)
		}
		for _, w := range all {
			require.NoError(t, w.Beat(t.Context()))
		}
		require.EqualValues(t, workers, b.Redis().ZCard(t.Context(), "paidui:{q}:lives").Val())
		for i := range workers {
			f := brokertest.Fields(t, b, strconv.Itoa(i))
			require.Equal(t, "active", f["state"])
			require.Empty(t, f["crashes"])
		}
		brokertest.Kill(t, b, all[3])
		require.NoError(t, all[0].Beat(t.Context()))
		require.Equal(t, "pending", brokertest.Fields(t, b, "3")["state"], "the rule holds again")
	})
}

// TestRedisAwayForLongerThanALife, and the workers live through it.
func TestRedisAwayForLongerThanALife(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t, testenv.WithArgs("--appendonly", "yes", "--appendfsync", "always"))
	b := brokertest.Open(t, server.URL(0))
	const life, workers = 400 * time.Millisecond, 3
	brokertest.Enqueue(t, b, brokertest.Numbered("q", 2*workers)...)
	queues := map[string]int{"q": 1}
	var begun, ended sync.WaitGroup
	begun.Add(workers)
	ended.Add(2 * workers)
	goOn := make(chan struct{})
	for range workers {
		f := fetch.New(b, fetch.Config{Queues: queues, Slots: 1, Life: life})
		cfg := brokertest.ServerConfig(queues)
		cfg.Concurrency = 1
		cfg.BaseContext = func() context.Context { return f.Context(context.WithoutCancel(t.Context())) }
		var once sync.Once
		brokertest.ServeWith(t, f, cfg, func(ctx context.Context, _ *asynq.Task) error {
			once.Do(begun.Done)
			<-goOn
			defer ended.Done() // more than that many runs would panic
			return fetch.CurrentDelivery(ctx).Owned(ctx)
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
		return b.Redis().Get(t.Context(), brokertest.Key("q", "processed")).Val() == strconv.Itoa(2*workers)
	}, brokertest.Patience, time.Millisecond)
	require.Zero(t, b.Redis().Exists(t.Context(), brokertest.Key("q", "failed"), brokertest.Key("q", "active"), brokertest.Key("q", "retry")).Val())
	died, lapsed := b.TakenOver()
	require.Zero(t, died+lapsed)
}

// TestClocksOfHosts: Redis's clock is half a minute before or behind this machine's.
func TestClocksOfHosts(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{-30 * time.Second, 30 * time.Second} {
		e, err := embedded.Start(context.WithoutCancel(t.Context()))
		require.NoError(t, err)
		t.Cleanup(e.Close)
		b := brokertest.Open(t, e.URL(0))
		now := time.Now().Add(ahead)
		e.SetTime(now)
		dead, living, other := brokertest.Mortal(t, b, "dead", 1), brokertest.Mortal(t, b, "living", 1), brokertest.Mortal(t, b, "other", 1)
		brokertest.Enqueue(t, b, brokertest.Message("q", "x"), brokertest.Message("q", "y"))
		brokertest.TakeTasks(t, dead, 1)
		brokertest.TakeTasks(t, living, 1)
		dead.Die()
		round := func(after time.Duration) {
			e.SetTime(now.Add(after))
			for _, w := range []*brokertest.Worker{living, other} {
				require.NoError(t, w.ZAddXX(t.Context(), brokertest.Key("q", "lease"), redis.Z{Member: "y"}).Err())
				require.NoError(t, w.Beat(t.Context()))
			}
		}
		for minute := time.Duration(0); minute <= brokertest.Still; minute += 20 * time.Minute {
			round(minute)
			require.Equal(t, "active", brokertest.Fields(t, b, "x")["state"], "%v: %v", ahead, minute)
		}
		round(brokertest.Still + time.Second)
		require.Equal(t, "pending", brokertest.Fields(t, b, "x")["state"], ahead)
		require.Equal(t, "active", brokertest.Fields(t, b, "y")["state"], ahead)
		lease := b.Redis().ZScore(t.Context(), brokertest.Key("q", "lease"), "y").Val()
		require.InDelta(t, now.Add(brokertest.Still+time.Second+30*time.Second).Unix(), lease, 1, "Redis's time, not this machine's")
	}
}

// TestFailoverToAnotherClock: the new primary's clock is far behind or before the old one's.
func TestFailoverToAnotherClock(t *testing.T) {
	t.Parallel()
	e, err := embedded.Start(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
	t.Cleanup(e.Close)
	b := brokertest.Open(t, e.URL(0))
	now := time.Now()
	e.SetTime(now)
	brokertest.Enqueue(t, b, brokertest.Message("q", "x"))
	holder, other := brokertest.Mortal(t, b, "holder", 1), brokertest.Mortal(t, b, "other", 1)
	brokertest.TakeTasks(t, holder, 1)
	for _, jump := range []time.Duration{-10 * brokertest.Still, 10 * brokertest.Still} {
		now = now.Add(jump)
		e.SetTime(now)
		require.NoError(t, other.Beat(t.Context()))
		e.SetTime(now.Add(brokertest.Still / 2))
		require.NoError(t, other.Beat(t.Context()))
		require.Equal(t, "active", brokertest.Fields(t, b, "x")["state"], jump)
		require.NoError(t, holder.Beat(t.Context()))
	}
	holder.Die()
	for range 3 {
		now = now.Add(brokertest.Still / 2)
		e.SetTime(now)
		require.NoError(t, other.Beat(t.Context()))
	}
	now = now.Add(brokertest.Still / 2)
	e.SetTime(now)
	require.NoError(t, other.Beat(t.Context()))
	require.Equal(t, "pending", brokertest.Fields(t, b, "x")["state"])
}

// TestOneBeatIsOneCommand, however many queues the worker serves; it beats less than once a second.
func TestOneBeatIsOneCommand(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	const workers = 500
	weights := map[string]int{}
	for i := range 8 {
		weights[fmt.Sprint("q", i)] = 1
	}
	var all []*fetch.Fetcher
	for range workers {
		f := fetch.New(b, fetch.Config{Queues: weights, Slots: 1, Life: brokertest.Still})
		all = append(all, f)
		require.NoError(t, f.Beat(t.Context()))
	}
	before := brokertest.ScriptCalls(t, b.Redis())
	for _, f := range all {
		require.NoError(t, f.Beat(t.Context()))
	}
	require.Equal(t, workers, brokertest.ScriptCalls(t, b.Redis())-before)
	for queue, want := range map[string]int64{"q0": workers, "q7": workers, "none": 0} { // whether they beat in time or not
		living, err := b.Redis().ZCard(t.Context(), format.LivesKey(queue)).Result()
		require.NoError(t, err)
		require.Equal(t, want, living, queue)
	}
	require.Greater(t, fetch.BeatEvery, time.Second)
}

// TestManyTakeOverOnce: all workers find the dead one at the same time.
func TestManyTakeOverOnce(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	const tasks = 300
	dead := brokertest.Mortal(t, b, "dead", tasks)
	brokertest.Enqueue(t, b, brokertest.Numbered("q", tasks)...)
	brokertest.TakeTasks(t, dead, tasks)
	var others []*brokertest.Worker
	for i := range 8 {
		others = append(others, brokertest.Mortal(t, b, strconv.Itoa(i), 1))
	}
	brokertest.Kill(t, b, dead)
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
	}(), brokertest.PendingIDs(t, b.Redis(), "q"))
	for i := range tasks {
		require.Equal(t, "1", brokertest.Fields(t, b, strconv.Itoa(i))["crashes"])
	}
}

// TestTakeoverAmongManyActiveTasks looks at them in steps, while others end.
func TestTakeoverAmongManyActiveTasks(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	const busy, own = 30_000, 50
	dead, other := brokertest.Mortal(t, b, "dead", 1), brokertest.Mortal(t, b, "other", 1)
	crowd := func(from int) {
		pipe := b.Redis().Pipeline()
		for i := range busy / own {
			id := fmt.Sprint("busy", from*busy+i)
			pipe.HSet(t.Context(), brokertest.Key("q", "t:"+id), "state", "active", "owner", other.LifeName()+".1", "pending_since", "1", "msg", "")
			pipe.LPush(t.Context(), brokertest.Key("q", "active"), id)
			pipe.ZAdd(t.Context(), brokertest.Key("q", "lease"), redis.Z{Score: 9e9, Member: id})
		}
		_, err := pipe.Exec(t.Context())
		require.NoError(t, err)
	}
	for i := range own {
		crowd(i)
		brokertest.Enqueue(t, b, brokertest.Message("q", strconv.Itoa(i)))
		dead.SetTurnaround(time.Hour)
		brokertest.TakeTasks(t, dead, 1)
	}
	brokertest.Kill(t, b, dead)
	require.NoError(t, b.Redis().ConfigResetStat(t.Context()).Err())
	require.NoError(t, other.Beat(t.Context()))
	require.Len(t, brokertest.PendingIDs(t, b.Redis(), "q"), own)
	require.EqualValues(t, busy, b.Redis().LLen(t.Context(), brokertest.Key("q", "active")).Val())
	require.Greater(t, brokertest.ScriptCalls(t, b.Redis()), busy/1000, "in steps")
}
