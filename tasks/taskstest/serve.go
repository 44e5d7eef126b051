// Package taskstest helps to test code that enqueues tasks or handles them: New is a queue of the test's own, which runs
// handlers inline on a clock that the test moves; Serve runs them as a worker does.
package taskstest

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
)

// Broker opens the Redis at url for one test, with the options of Options.
func Broker(t testing.TB, url string) *broker.Broker {
	t.Helper()
	b, err := broker.Open(t.Context(), url, Options(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() }) // the test may have stopped its Redis
	return b
}

// Options are a quiet logger and what the programs' variables PAIDUI_BROKER_PIPELINING and PAIDUI_BROKER_WAKE_UP say,
// so that all tests can be run with either off.
func Options(t testing.TB) broker.Options {
	t.Helper()
	off := func(variable string) bool {
		text := os.Getenv(variable)
		if text == "" {
			return false
		}
		on, err := strconv.ParseBool(text)
		require.NoError(t, err, variable)
		return !on
	}
	return broker.Options{
		Logger:       slog.New(slog.DiscardHandler),
		NoPipelining: off("PAIDUI_BROKER_PIPELINING"),
		NoWakeUp:     off("PAIDUI_BROKER_WAKE_UP"),
	}
}

// Embedded starts an embedded Redis for one test and opens it.
func Embedded(t testing.TB) *broker.Broker {
	t.Helper()
	e, err := embedded.Start(context.WithoutCancel(t.Context())) // it outlives the test's workers
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return Broker(t, e.URL(0))
}

// concurrency is how many tasks Serve runs at a time.
const concurrency = 10

// Serve runs the mux's tasks from the named queues until the test ends, ten at a time.
func Serve(t testing.TB, b *broker.Broker, m *tasks.Mux, queues ...string) {
	t.Helper()
	weights := make(map[string]int, len(queues))
	for _, q := range queues {
		weights[q] = 1
	}
	fetcher := fetch.New(b, fetch.Config{Name: "test", Queues: weights, Slots: concurrency, MaxSlots: fetch.MaxSlots, Tasks: m.Tasks()})
	server := asynq.NewServerFromRedisClient(fetcher, m.Engine(asynq.Config{
		Concurrency:     fetch.MaxSlots,
		BaseContext:     func() context.Context { return fetcher.Context(context.Background()) },
		Queues:          weights,
		LogLevel:        asynq.FatalLevel,
		ShutdownTimeout: 5 * time.Second,
	}))
	require.NoError(t, server.Start(m))
	t.Cleanup(func() {
		fetcher.Stop()
		server.Shutdown()
		fetcher.Leave()
	})
}

// Run runs a part of a program, such as an outbox's or a store's Run, until the test ends.
func Run(t testing.TB, part func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- part(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
}

// Connect opens a client of the Redis at the URL until the test ends, which may have stopped that Redis.
func Connect(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	rdb, err := redisx.Connect(t.Context(), broker.Setting, url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}
