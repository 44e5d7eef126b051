package fetch_test

import (
	"context"
	"errors"
	"fmt"
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

// lease sets when the lease of the task x ends, from now on.
func lease(t *testing.T, b *broker.Broker, ends time.Duration) {
	t.Helper()
	at := float64(time.Now().Add(ends).Unix())
	require.NoError(t, b.Redis().ZAdd(t.Context(), brokertest.Key("q", "lease"), redis.Z{Score: at, Member: "x"}).Err())
}

// TestTasksOfUnknownWorkers: of plain asynq, and of programs that know no lives. Their leases decide, with room for clocks
// that are half a minute behind.
func TestTasksOfUnknownWorkers(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		for name, mark := range map[string]func(*broker.Broker) error{
			"plain asynq": func(b *broker.Broker) error {
				return b.Redis().HDel(t.Context(), brokertest.Key("q", "t:x"), "owner").Err()
			},
			"plain asynq after one of ours": func(b *broker.Broker) error {
				return b.Redis().HDel(t.Context(), brokertest.Key("q", "t:x"), "pending_since").Err()
			},
			"without a life": func(b *broker.Broker) error {
				return b.Redis().HSet(t.Context(), brokertest.Key("q", "t:x"), "owner", "older|build.7").Err()
			},
		} {
			t.Run(name, func(t *testing.T) {
				b := brokertest.Open(t, url)
				require.NoError(t, b.Redis().FlushDB(t.Context()).Err())
				theirs, ours := brokertest.Mortal(t, b, "theirs", 1), brokertest.Mortal(t, b, "ours", 1)
				brokertest.Enqueue(t, b, brokertest.Message("q", "x"))
				brokertest.TakeTasks(t, theirs, 1)
				require.NoError(t, mark(b))
				theirs.Die()
				for _, ends := range []time.Duration{20 * time.Second, -10 * time.Second} {
					lease(t, b, ends)
					require.NoError(t, ours.Beat(t.Context()))
					require.Equal(t, "active", brokertest.Fields(t, b, "x")["state"], ends)
				}
				if name != "without a life" { // whose owner died is not their business
					brokertest.Silence(t, b, theirs, 2*brokertest.Still)
					require.NoError(t, ours.Beat(t.Context()))
					require.Equal(t, "active", brokertest.Fields(t, b, "x")["state"])
				}
				lease(t, b, -time.Minute)
				require.NoError(t, ours.Beat(t.Context()))
				require.Equal(t, "pending", brokertest.Fields(t, b, "x")["state"])
				require.Equal(t, "1", brokertest.Fields(t, b, "x")["crashes"])
				_, lapsed := b.TakenOver()
				require.EqualValues(t, 1, lapsed)
			})
		}
	})
}

// TestActiveTaskWithoutALease is neither stuck for ever nor taken from who has it.
func TestActiveTaskWithoutALease(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		for name, c := range map[string]struct {
			owner string
			kept  bool
		}{"of a living worker": {"", true}, "of nobody": {"gone|1.1", false}} {
			t.Run(name, func(t *testing.T) {
				b := brokertest.Open(t, url)
				require.NoError(t, b.Redis().FlushDB(t.Context()).Err())
				holder, other := brokertest.Mortal(t, b, "holder", 1), brokertest.Mortal(t, b, "other", 1)
				brokertest.Enqueue(t, b, brokertest.Message("q", "x"))
				brokertest.TakeTasks(t, holder, 1)
				if c.owner != "" {
					require.NoError(t, b.Redis().HSet(t.Context(), brokertest.Key("q", "t:x"), "owner", c.owner).Err())
				}
				require.NoError(t, b.Redis().ZRem(t.Context(), brokertest.Key("q", "lease"), "x").Err())
				require.NoError(t, b.Redis().LPush(t.Context(), brokertest.Key("q", "active"), "no task").Err())
				require.NoError(t, other.Beat(t.Context()))
				require.Equal(t, []string{"x"}, b.Redis().LRange(t.Context(), brokertest.Key("q", "active"), 0, -1).Val())
				ends := b.Redis().ZScore(t.Context(), brokertest.Key("q", "lease"), "x").Val() - float64(time.Now().Unix())
				if c.kept {
					require.InDelta(t, 30, ends, 15)
				} else {
					require.InDelta(t, 0, ends, 15, "it has ended, unless somebody extends it")
					lease(t, b, -31*time.Second)
				}
				require.NoError(t, other.Beat(t.Context()))
				require.Equal(t, c.kept, brokertest.Fields(t, b, "x")["state"] == "active")
			})
		}
	})
}

// TestLeaseOfALivingWorkerDecidesNothing: not that of one whose lease was not extended, and not asynq's own recovery.
func TestLeaseOfALivingWorkerDecidesNothing(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		holder, other := brokertest.Mortal(t, b, "holder", 1), brokertest.Mortal(t, b, "other", 1)
		brokertest.Enqueue(t, b, brokertest.Message("q", "x"))
		brokertest.TakeTasks(t, holder, 1)
		lease(t, b, -time.Hour)
		require.NoError(t, other.Beat(t.Context()))
		queues := map[string]int{"empty": 1, "q": 1}
		require.NoError(t, asynq.NewInspectorFromRedisClient(b.Redis()).PauseQueue("q"))
		f := fetch.New(b, fetch.Config{Queues: queues, Slots: 1, Life: brokertest.Still})
		brokertest.Serve(t, f, queues, func(context.Context, *asynq.Task) error { return errors.New("it must not run") }) // its recoverer looks at once
		brokertest.AwaitFetch(t, f)
		require.Equal(t, "active", brokertest.Fields(t, b, "x")["state"])
		require.NoError(t, holder.Beat(t.Context()))
		require.Greater(t, b.Redis().ZScore(t.Context(), brokertest.Key("q", "lease"), "x").Val(), float64(time.Now().Unix()), "who has it extends it")
		require.NoError(t, holder.Done(t.Context(), "q", "x"))
		require.Zero(t, b.Redis().Exists(t.Context(), brokertest.Key("q", "t:x")).Val())
	})
}

// TestTaskThatItsWorkerDoesNotKnow was given to it in an answer that was lost, or given up by asynq.
func TestTaskThatItsWorkerDoesNotKnow(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		w := brokertest.Mortal(t, b, "w", 1)
		brokertest.Enqueue(t, b, brokertest.Message("q", "y"))
		brokertest.TakeTasks(t, w, 1)
		brokertest.Enqueue(t, b, brokertest.Message("q", "x"))
		other := brokertest.Mortal(t, b, "other", 1)
		brokertest.TakeTasks(t, other, 1)
		require.NoError(t, b.Redis().HSet(t.Context(), brokertest.Key("q", "t:x"), "owner", w.LifeName()+".99").Err())
		lease(t, b, -time.Minute)
		require.NoError(t, other.Beat(t.Context()))
		require.Equal(t, "active", brokertest.Fields(t, b, "x")["state"], "it is the worker's to say")
		require.NoError(t, w.Beat(t.Context()))
		require.Equal(t, "pending", brokertest.Fields(t, b, "x")["state"])
		require.Equal(t, "active", brokertest.Fields(t, b, "y")["state"])
	})
}

// TestFullRedis: what workers hold is kept, ended, put back and taken over while Redis takes nothing new.
func TestFullRedis(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := brokertest.Open(t, server.URL(0))
	full := func(limit string) {
		require.NoError(t, b.Redis().ConfigSet(t.Context(), "maxmemory", limit).Err())
	}
	queues := map[string]int{"q": 1}
	dead, other := brokertest.Mortal(t, b, "dead", 1), brokertest.Mortal(t, b, "other", 1)
	brokertest.Enqueue(t, b, brokertest.Message("q", "x"))
	brokertest.TakeTasks(t, dead, 1)
	f := fetch.New(b, fetch.Config{Name: "w", Queues: queues, Slots: 6, Life: brokertest.Still})
	cfg := brokertest.ServerConfig(queues)
	cfg.Concurrency = 6
	cfg.ShutdownTimeout = 50 * time.Millisecond
	cfg.RetryDelayFunc = func(int, error, *asynq.Task) time.Duration { return time.Hour }
	begun, goOn := make(chan string, 16), make(chan struct{})
	over := make(chan struct{})
	defer close(over)
	stop := brokertest.ServeWith(t, f, cfg, func(ctx context.Context, task *asynq.Task) error {
		id := brokertest.TaskID(ctx)
		begun <- id
		<-goOn
		if _, err := task.ResultWriter().Write([]byte("result")); err != nil {
			return err
		}
		switch id {
		case "retry":
			return errors.New("again")
		case "archive":
			return fmt.Errorf("never: %w", asynq.SkipRetry)
		case "requeue":
			<-over
		}
		return nil
	})
	ids := []string{"done", "complete", "retry", "archive", "requeue", "late"}
	for _, id := range ids[:5] {
		m := brokertest.Message("q", id)
		m.UniqueFor, m.Tags = time.Hour, []string{"tag"}
		if id == "complete" {
			m.Retention = time.Hour
		}
		brokertest.Enqueue(t, b, m)
		require.Equal(t, id, <-begun)
	}
	brokertest.Kill(t, b, dead)
	full("1")
	r := b.Enqueue(t.Context(), brokertest.Message("q", "late"))[0]
	require.Error(t, r.Err, "Redis is full")

	require.NoError(t, f.Beat(t.Context()))
	require.Equal(t, "1", brokertest.Fields(t, b, "x")["crashes"])
	require.Equal(t, "x", <-begun, "it is taken over and runs")
	require.NoError(t, f.ZAddXX(t.Context(), brokertest.Key("q", "lease"), redis.Z{Member: "done"}).Err())
	require.NoError(t, b.Redis().ZRem(t.Context(), brokertest.Key("q", "lease"), "done").Err())
	require.NoError(t, other.Beat(t.Context()), "a lease is given")
	require.EqualValues(t, 6, b.Redis().ZCard(t.Context(), brokertest.Key("q", "lease")).Val())
	revoked, err := b.Revoke(t.Context(), "q", "x", "a mistake", false)
	require.NoError(t, err)
	require.Equal(t, broker.Running, revoked.Outcome)

	state := func(id string) string { return brokertest.Fields(t, b, id)["state"] }
	close(goOn)
	require.Eventually(t, func() bool { return f.Deliveries() == 1 }, brokertest.Patience, time.Millisecond)
	stop()
	require.Equal(t, []string{"", "completed", "retry", "archived", "pending"},
		[]string{state("done"), state("complete"), state("retry"), state("archive"), state("requeue")})
	require.Equal(t, "result", brokertest.Fields(t, b, "archive")["result"])
	require.ElementsMatch(t, []string{"requeue", "retry"}, b.Redis().SMembers(t.Context(), "paidui:{q}:tag:tag").Val())
	require.Zero(t, f.Deliveries())
	full("0")
	brokertest.Enqueue(t, b, brokertest.Message("q", "late"))
}
