package pool_test

import (
	"context"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/worker/pool"
)

// wakeList is where the wake-ups of a queue go.
const wakeList = "paidui:{default}:wake"

// lateness is the fallback of a second, and what a busy machine needs.
const lateness = 6 * time.Second

// idlePool runs job, and tells when each begins.
func idlePool(t *testing.T, url string) (client *tasks.Client, begun <-chan time.Time) {
	t.Helper()
	b := taskstest.Broker(t, url)
	m, starts := mux(), make(chan time.Time, 1)
	tasks.Handle(m, job, func(context.Context, none) (string, error) {
		starts <- time.Now()
		return "", nil
	})
	p, err := pool.New(b, m, config())
	require.NoError(t, err)
	run(t, p)
	require.Eventually(t, func() bool { return p.Ready(t.Context()) == nil }, 10*time.Second, time.Millisecond)
	return tasks.NewClient(b), starts
}

func requireSoon(t *testing.T, begun <-chan time.Time, enqueued time.Time) {
	t.Helper()
	select {
	case at := <-begun:
		t.Logf("begun after %v", at.Sub(enqueued).Round(time.Millisecond))
	case <-time.After(lateness):
		t.Fatal("nobody looks for the task")
	}
}

func TestTaskOfAnotherProducerIsFound(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	_, begun := idlePool(t, server.URL(0))
	plain := asynq.NewClient(asynq.RedisClientOpt{Addr: server.Addr})
	defer func() { require.NoError(t, plain.Close()) }()
	for range 3 {
		at := time.Now()
		_, err := plain.EnqueueContext(t.Context(), asynq.NewTask(job.Name(), []byte("{}")))
		require.NoError(t, err)
		requireSoon(t, begun, at)
	}
}

func TestTaskWithALostWakeUpIsFound(t *testing.T) {
	t.Parallel()
	if taskstest.Options(t).NoWakeUp {
		t.Skip("without wake-ups none is lost")
	}
	server := testenv.Redis(t)
	client, begun := idlePool(t, server.URL(0))
	thief := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer func() { require.NoError(t, thief.Close()) }()
	for range 2 {
		stolen := make(chan error, 1)
		go func() { stolen <- thief.BLPop(t.Context(), 20*time.Second, wakeList).Err() }()
		// The worker queues up anew each second; by then the thief is the first in the line.
		time.Sleep(3 * time.Second)
		at := time.Now()
		_, err := job.Enqueue(t.Context(), client, none{})
		require.NoError(t, err)
		require.NoError(t, <-stolen, "the wake-up is not where the test looks for it")
		requireSoon(t, begun, at)
	}
}
