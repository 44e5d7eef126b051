package fetch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

func TestTaskWithoutRingIsFound(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	var ran atomic.Int32
	queues := map[string]int{"q": 1}
	f := fetch.New(b, fetch.Config{Queues: queues})
	brokertest.Serve(t, f, queues, func(context.Context, *asynq.Task) error { ran.Add(1); return nil })
	require.Eventually(t, func() bool { return !f.LastFetch().IsZero() }, 20*time.Second, time.Millisecond)
	_, err := asynq.NewClientFromRedisClient(b.Redis()).Enqueue(asynq.NewTask("t", nil), asynq.Queue("q"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return ran.Load() == 1 }, 20*time.Second, 5*time.Millisecond)
}

func TestFetcherOutlivesRedis(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := brokertest.Open(t, server.URL(0))
	var ran atomic.Int32
	queues := map[string]int{"q": 1}
	f := fetch.New(b, fetch.Config{Queues: queues})
	brokertest.Serve(t, f, queues, func(context.Context, *asynq.Task) error { ran.Add(1); return nil })
	require.Eventually(t, func() bool { return !f.LastFetch().IsZero() }, 20*time.Second, time.Millisecond)
	server.Kill()
	require.Error(t, b.Ping(t.Context()))
	server.Start()
	client := asynq.NewClientFromRedisClient(b.Redis())
	require.Eventually(t, func() bool {
		_, err := client.Enqueue(asynq.NewTask("t", nil), asynq.Queue("q"))
		return err == nil
	}, 10*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool { return ran.Load() > 0 }, 10*time.Second, 10*time.Millisecond)
}

// TestKeyNames holds our spelling of asynq's private keys against what asynq really writes.
func TestKeyNames(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	client := asynq.NewClientFromRedisClient(b.Redis())
	for _, queue := range []string{"low", "low_2"} {
		_, err := client.Enqueue(asynq.NewTask("t", []byte("x")), asynq.Queue(queue), asynq.TaskID(queue+"_id"), asynq.Unique(time.Minute))
		require.NoError(t, err)
	}
	_, err := client.Enqueue(asynq.NewTask("t", nil), asynq.Queue("low"), asynq.TaskID("low_2_id"))
	require.NoError(t, err)
	holders, err := b.Locate(t.Context(), "low_2_id")
	require.NoError(t, err)
	require.Len(t, holders, 2)
	require.Contains(t, holders, "low_2")
	holders, err = b.Locate(t.Context(), "nobody")
	require.NoError(t, err)
	require.Empty(t, holders)
}
