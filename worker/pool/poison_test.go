package pool_test

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/worker/pool"
)

var (
	poisonJob    = tasks.Define[none, string]("test.poison", tasks.Retention(time.Hour))
	afterJob     = tasks.Define[none, string]("test.after", tasks.Retention(time.Hour))
	bystanderJob = tasks.Define[none, string]("test.bystander", tasks.Retention(time.Hour))
)

const (
	poisonSlots = 16
	// poisonAfter is when poison kills its worker, before any bystander of the same moment is done.
	poisonAfter = 20 * time.Millisecond
)

// poisonPool has a handler of poison, p, one of what its failure calls, and one of innocent tasks.
func poisonPool(t *testing.T, b *broker.Broker, name string, p func() (string, error)) *pool.Pool {
	t.Helper()
	m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: tasks.NewClient(b)})
	tasks.Handle(m, poisonJob, func(context.Context, none) (string, error) { return p() })
	tasks.Handle(m, afterJob, func(ctx context.Context, _ none) (string, error) {
		return tasks.Current(ctx).Parent.Error, nil
	})
	tasks.Handle(m, bystanderJob, func(context.Context, none) (string, error) {
		time.Sleep(10 * poisonAfter)
		return "well", nil
	})
	cfg := config()
	cfg.Name, cfg.Concurrency, cfg.Life = name, poisonSlots, shortLife/2
	made, err := pool.New(b, m, cfg)
	require.NoError(t, err)
	return made
}

// poisonAddr makes this test binary a worker on the Redis at this address, which poison kills.
const poisonAddr = "POOL_TEST_POISON_REDIS"

// TestPoisonedWorkerProcess is the worker that victim starts.
func TestPoisonedWorkerProcess(t *testing.T) {
	addr := os.Getenv(poisonAddr)
	if addr == "" {
		t.Skip("part of other tests")
	}
	b := taskstest.Broker(t, "redis://"+addr+"/0")
	p := poisonPool(t, b, "victim", func() (string, error) {
		time.Sleep(poisonAfter)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	})
	require.NoError(t, p.Run(t.Context()))
}

// victim runs a worker process until it is dead. Tasks that are to be repeated need not wait: those that are due first
// are, as soon as nothing runs.
func victim(t *testing.T, addr string, s shelf) {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-test.run=^TestPoisonedWorkerProcess$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), poisonAddr+"="+addr)
	require.NoError(t, cmd.Start())
	dead := make(chan error, 1)
	go func() { dead <- cmd.Wait() }()
	for look := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case err = <-dead:
			look.Stop()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.NoError(t, ctx.Err(), "it has not run the task")
			status, ok := exit.Sys().(syscall.WaitStatus)
			require.True(t, ok)
			require.Equal(t, syscall.SIGKILL, status.Signal())
			return
		case <-look.C:
			s.hasten(t)
		}
	}
}

// hasten makes those tasks due that are to be repeated first, if nothing runs or waits to.
func (s shelf) hasten(t *testing.T) {
	t.Helper()
	if len(s.active(t))+s.pending(t) > 0 {
		return
	}
	retry, ctx := "asynq:{"+s.queue+"}:retry", t.Context()
	first, err := s.b.Redis().ZRangeWithScores(ctx, retry, 0, 0).Result()
	require.NoError(t, err)
	if len(first) == 0 || first[0].Score <= float64(time.Now().Unix()) {
		return
	}
	second := first[0].Score
	together, err := s.b.Redis().ZRangeArgs(ctx, redis.ZRangeArgs{Key: retry, ByScore: true, Start: second, Stop: second}).Result()
	require.NoError(t, err)
	for _, id := range together {
		now := redis.Z{Score: float64(time.Now().Add(-time.Second).Unix()), Member: id}
		require.NoError(t, s.b.Redis().ZAddXX(ctx, retry, now).Err())
	}
}

func TestPoisonEndsAsFailure(t *testing.T) {
	t.Parallel()
	const deaths = 5 // the standard of tasks.MaxCrashes
	server := testenv.Redis(t)
	b := taskstest.Broker(t, server.URL(0))
	client, shelf := tasks.NewClient(b), newShelf(b, "default")
	poison, err := poisonJob.Enqueue(t.Context(), client, none{}, tasks.OnFailure(afterJob.Signature(none{}, tasks.ID("after"))))
	require.NoError(t, err)
	bystanders := make([]*tasks.Result[string], 2*poisonSlots)
	for i := range bystanders {
		bystanders[i], err = bystanderJob.Enqueue(t.Context(), client, none{})
		require.NoError(t, err)
	}
	for range deaths {
		victim(t, server.Addr, shelf)
		require.Contains(t, shelf.active(t), poison.ID(), "nobody has acknowledged it")
	}

	run(t, poisonPool(t, b, "last", func() (string, error) {
		t.Error("it must not run once more")
		return "", nil
	}))
	require.Eventually(t, func() bool {
		shelf.hasten(t)
		info, err := client.Info(t.Context(), poison.ID())
		return err == nil && info.State.Final() && shelf.counts(t).Retry == 0
	}, time.Minute, 20*time.Millisecond)
	_, err = poison.Get(limited(t))
	var failure *tasks.FailureError
	require.ErrorAs(t, err, &failure)
	require.ErrorContains(t, err, "its worker died 5 times while running it")
	told, err := afterJob.Result(client, "after").Get(limited(t))
	require.NoError(t, err)
	require.Contains(t, told, "its worker died 5 times")
	for _, res := range bystanders {
		value, err := res.Get(limited(t))
		require.NoError(t, err, "those that died with it have parted from it")
		require.Equal(t, "well", value)
	}

	info, err := client.Info(t.Context(), poison.ID())
	require.NoError(t, err)
	require.Equal(t, deaths, info.Crashes)
	require.Zero(t, info.Retries, "deaths cost no retry")
	require.Len(t, info.Attempts, deaths+1)
	for i, a := range info.Attempts[:deaths] {
		require.Equal(t, "crash", string(a.Outcome), i)
		require.Equal(t, "victim", a.Worker, i)
		require.Equal(t, fetch.WorkerDied, a.Error, i)
	}
	require.Equal(t, "failure", string(info.Attempts[deaths].Outcome))
	dead, _, err := client.Dead(t.Context(), "default", "", 10)
	require.NoError(t, err)
	require.Len(t, dead, 1)
	require.Equal(t, poison.ID(), dead[0].ID)
}
