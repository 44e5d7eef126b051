package fetch_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// run serves a queue with a handler that gets its delivery.
func run(t *testing.T, b *broker.Broker, queue string, h func(context.Context, *fetch.Delivery) error) *fetch.Fetcher {
	t.Helper()
	queues := map[string]int{queue: 1}
	f := fetch.New(b, fetch.Config{Name: "wörker|1", Queues: queues, Slots: 4})
	cfg := brokertest.ServerConfig(queues)
	cfg.BaseContext = func() context.Context { return f.Context(context.WithoutCancel(t.Context())) }
	cfg.RetryDelayFunc = func(int, error, *asynq.Task) time.Duration { return 0 }
	brokertest.ServeWith(t, f, cfg, func(ctx context.Context, _ *asynq.Task) error { return h(ctx, fetch.CurrentDelivery(ctx)) })
	return f
}

func TestDeliveryLeavesItsRecord(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		m := brokertest.Message("q", "x")
		m.Retention = time.Hour
		m.Tags = []string{"a", "b"}
		brokertest.Enqueue(t, b, m)
		tries := 0
		run(t, b, "q", func(_ context.Context, d *fetch.Delivery) error {
			tries++
			d.Keep([]byte(`"result"`))
			if tries < 3 {
				d.Record([]byte(`{"number":` + string('0'+rune(tries)) + `}`))
				return errors.New("not yet")
			}
			d.Record([]byte(`{"number":3}`))
			return nil
		})
		fields := func() map[string]string { return b.Redis().HGetAll(t.Context(), brokertest.Key("q", "t:x")).Val() }
		require.Eventually(t, func() bool { return fields()["state"] == "completed" }, brokertest.Patience, 5*time.Millisecond)
		require.Equal(t, "{\"number\":1}\n{\"number\":2}\n{\"number\":3}", fields()["attempts"])
		require.Equal(t, `"result"`, fields()["result"])
		require.True(t, strings.HasPrefix(fields()["owner"], "wörker|1|"))
		require.Zero(t, b.Redis().Exists(t.Context(), "paidui:{q}:tag:a", "paidui:{q}:tag:b").Val(), "tags are of tasks that have not ended")
	})
}

// TestAttemptsAreBounded: the oldest give way.
func TestAttemptsAreBounded(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		m := brokertest.Message("q", "x")
		m.Retention, m.MaxRetry = time.Hour, 1000
		brokertest.Enqueue(t, b, m)
		full := `{"error":"` + strings.Repeat("e", 5000) + `"}`
		require.NoError(t, b.Redis().HSet(t.Context(), brokertest.Key("q", "t:x"), "attempts", strings.Repeat(full+"\n", 6)+full).Err())
		run(t, b, "q", func(_ context.Context, d *fetch.Delivery) error {
			d.Record([]byte(`{"number":"last"}`))
			return nil
		})
		fields := func() map[string]string { return b.Redis().HGetAll(t.Context(), brokertest.Key("q", "t:x")).Val() }
		require.Eventually(t, func() bool { return fields()["state"] == "completed" }, brokertest.Patience, 5*time.Millisecond)
		kept := strings.Split(fields()["attempts"], "\n")
		require.Equal(t, `{"number":"last"}`, kept[len(kept)-1])
		require.Len(t, kept, 5)
		for _, record := range kept[:4] {
			require.Equal(t, full, record, "whole")
		}
	})
}

func TestProgressIsFenced(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		m := brokertest.Message("q", "x")
		m.Retention = time.Hour
		brokertest.Enqueue(t, b, m)
		stuck, second := make(chan *fetch.Delivery, 1), make(chan *fetch.Delivery, 1)
		over := make(chan struct{})
		var began atomic.Bool
		handler := func(_ context.Context, d *fetch.Delivery) error {
			if !began.Swap(true) {
				stuck <- d
			} else {
				second <- d
			}
			<-over
			return nil
		}
		run(t, b, "q", handler)
		run(t, b, "q", handler)
		defer close(over)
		old := <-stuck
		require.NoError(t, old.Check(t.Context()))
		require.NoError(t, old.Progress(t.Context(), []byte(`{"done":1}`)))
		require.Equal(t, `{"done":1}`, b.Redis().HGet(t.Context(), brokertest.Key("q", "t:x"), "progress").Val())

		abandon(t, b.Redis(), "q", "x")
		now := <-second
		require.False(t, b.Redis().HExists(t.Context(), brokertest.Key("q", "t:x"), "progress").Val(), "of the attempt before")
		require.ErrorIs(t, old.Progress(t.Context(), []byte(`{"done":9}`)), fetch.ErrFenced)
		require.ErrorIs(t, old.Check(t.Context()), fetch.ErrFenced)
		require.NoError(t, now.Check(t.Context()))
		require.NoError(t, now.Progress(t.Context(), []byte(`{"done":2}`)))
		require.NoError(t, old.Owned(t.Context()), "it does not ask")
		old.StandStill()
		require.ErrorIs(t, old.Owned(t.Context()), fetch.ErrFenced)
		now.Fence()
		now.StandStill()
		require.NoError(t, now.Owned(t.Context()), "it is still to end the task")
		require.ErrorIs(t, now.Progress(t.Context(), []byte(`{"done":3}`)), fetch.ErrFenced)
		require.ErrorIs(t, now.Check(t.Context()), fetch.ErrFenced)
		require.Equal(t, `{"done":2}`, b.Redis().HGet(t.Context(), brokertest.Key("q", "t:x"), "progress").Val())
	})
}

// TestTerminateReachesTheRunningTask by message, and without one.
func TestTerminateReachesTheRunningTask(t *testing.T) {
	for name, publish := range map[string]bool{"message": true, "message lost": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.Open(t, testenv.RedisURL(t))
			brokertest.Enqueue(t, b, brokertest.Message("q", "x"), brokertest.Message("q", "y"))
			running := make(chan *fetch.Delivery, 2)
			run(t, b, "q", func(ctx context.Context, d *fetch.Delivery) error {
				running <- d
				select {
				case <-d.Terminated():
				case <-ctx.Done():
				}
				return nil
			})
			one, other := <-running, <-running
			id := "x"
			if _, revoked := one.Revoked(); revoked {
				t.Fatal("not yet")
			}
			require.NoError(t, b.Redis().HSet(t.Context(), brokertest.Key("q", "t:"+id), "revoked", "no longer wanted", "terminate", "1").Err())
			if publish {
				require.Eventually(t, func() bool {
					return b.Redis().Publish(t.Context(), "paidui:terminate", "q x").Val() > 0
				}, brokertest.Patience, 5*time.Millisecond)
			}
			ended := one
			select {
			case <-one.Terminated():
			case <-other.Terminated():
				ended = other
			case <-time.After(brokertest.Patience):
				t.Fatal("not terminated")
			}
			reason, revoked := ended.Revoked()
			require.True(t, revoked)
			require.Equal(t, "no longer wanted", reason)
		})
	}
}

// TestRevokedWhileRunning: whatever becomes of the delivery, the next one is told, and soon.
func TestRevokedWhileRunning(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		brokertest.Enqueue(t, b, brokertest.Message("q", "x"))
		reasons := make(chan string, 1)
		queues := map[string]int{"q": 1}
		f := fetch.New(b, fetch.Config{Queues: queues, Slots: 1})
		cfg := brokertest.ServerConfig(queues)
		cfg.BaseContext = func() context.Context { return f.Context(context.WithoutCancel(t.Context())) }
		cfg.RetryDelayFunc = func(int, error, *asynq.Task) time.Duration { return time.Hour }
		brokertest.ServeWith(t, f, cfg, func(ctx context.Context, _ *asynq.Task) error {
			if reason, revoked := fetch.CurrentDelivery(ctx).Revoked(); revoked {
				reasons <- reason
				return nil
			}
			return errors.Join(b.Redis().HSet(ctx, brokertest.Key("q", "t:x"), "revoked", "by hand").Err(), errors.New("failed"))
		})
		require.Equal(t, "by hand", <-reasons, "not after an hour")
	})
}

func TestTasksThatDiedTogetherArePartedTheSecondTime(t *testing.T) {
	t.Parallel()
	require.Zero(t, fetch.Spread(0), "one death is an accident: its tasks run again at once")
	for before, limit := range map[int]time.Duration{1: 16 * time.Second, 2: 64 * time.Second, 3: 256 * time.Second, 999: 256 * time.Second} {
		seconds := map[time.Duration]bool{}
		for range 1000 {
			d := fetch.Spread(before)
			require.GreaterOrEqual(t, d, time.Duration(0))
			require.Less(t, d, limit)
			seconds[d.Truncate(time.Second)] = true
		}
		require.Greater(t, len(seconds), int(limit/time.Second)/2, "they are due in many different seconds")
	}
}
