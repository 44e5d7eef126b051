// Package bench measures Paidui against plain asynq on the same private Redis, in the same run:
//
//	go test -run '^$' -bench . ./deploy/bench
package bench

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/worker/pool"
)

func TestMain(m *testing.M) { testenv.Main(m) }

type args struct {
	N int `json:"n"`
}

// noop keeps no result, as a plain asynq task does.
var noop = tasks.Define[args, struct{}]("bench.noop", tasks.Retention(0))

const producers = 64

// BenchmarkEnqueue is one task put into Redis, by 64 goroutines.
func BenchmarkEnqueue(b *testing.B) {
	b.Run("paidui", func(b *testing.B) {
		client := tasks.NewClient(taskstest.Broker(b, testenv.RedisURL(b)))
		b.SetParallelism(producers)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := noop.Enqueue(b.Context(), client, args{1}); err != nil {
					b.Error(err)
					return
				}
			}
		})
		perSecond(b)
	})
	b.Run("asynq", func(b *testing.B) {
		client := plainClient(b, testenv.RedisURL(b))
		b.SetParallelism(producers)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := client.EnqueueContext(b.Context(), asynq.NewTask("bench.noop", []byte(`{"n":1}`))); err != nil {
					b.Error(err)
					return
				}
			}
		})
		perSecond(b)
	})
}

// BenchmarkRun is one no-op task taken from a backlog, run and acknowledged, with 64 slots.
func BenchmarkRun(b *testing.B) {
	b.Run("paidui", func(b *testing.B) {
		br := taskstest.Broker(b, testenv.RedisURL(b))
		var left sync.WaitGroup
		left.Add(b.N)
		mux := tasks.NewMux(tasks.MuxOptions{Logger: taskstest.Quiet()})
		tasks.Handle(mux, noop, func(context.Context, args) (struct{}, error) { left.Done(); return struct{}{}, nil })
		fill(b, func(int) error {
			_, err := noop.Enqueue(b.Context(), tasks.NewClient(br), args{1})
			return err
		})
		b.ResetTimer()
		stop := serve(b, br, mux)
		left.Wait()
		perSecond(b)
		stop()
	})
	b.Run("asynq", func(b *testing.B) {
		url := testenv.RedisURL(b)
		client := plainClient(b, url)
		var left sync.WaitGroup
		left.Add(b.N)
		fill(b, func(int) error {
			_, err := client.Enqueue(asynq.NewTask("bench.noop", []byte(`{"n":1}`)))
			return err
		})
		b.ResetTimer()
		server := plainServer(b, url, func(context.Context, *asynq.Task) error { left.Done(); return nil })
		left.Wait()
		perSecond(b)
		server.Shutdown()
	})
}

// BenchmarkPickup is the time from enqueueing to the handler's start, on an idle worker.
func BenchmarkPickup(b *testing.B) {
	started := make(chan struct{})
	b.Run("paidui", func(b *testing.B) {
		br := taskstest.Broker(b, testenv.RedisURL(b))
		client := tasks.NewClient(br)
		mux := tasks.NewMux(tasks.MuxOptions{Logger: taskstest.Quiet()})
		tasks.Handle(mux, noop, func(context.Context, args) (struct{}, error) {
			started <- struct{}{}
			return struct{}{}, nil
		})
		defer serve(b, br, mux)()
		for b.Loop() {
			if _, err := noop.Enqueue(b.Context(), client, args{1}); err != nil {
				b.Fatal(err)
			}
			<-started
		}
	})
	b.Run("asynq", func(b *testing.B) {
		url := testenv.RedisURL(b)
		client := plainClient(b, url)
		server := plainServer(b, url, func(context.Context, *asynq.Task) error { started <- struct{}{}; return nil })
		defer server.Shutdown()
		for b.Loop() {
			if _, err := client.Enqueue(asynq.NewTask("bench.noop", []byte(`{"n":1}`))); err != nil {
				b.Fatal(err)
			}
			<-started
		}
	})
}

const slots = 64

func serve(b *testing.B, br *broker.Broker, mux *tasks.Mux) (stop func()) {
	b.Helper()
	p, err := pool.New(br, mux, pool.Config{
		Queues: map[string]int{"default": 1}, Concurrency: slots, Drain: time.Second, Logger: taskstest.Quiet(),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
}

func plainOptions(b *testing.B, url string) asynq.RedisConnOpt {
	b.Helper()
	o, err := asynq.ParseRedisURI(url)
	if err != nil {
		b.Fatal(err)
	}
	return o
}

func plainClient(b *testing.B, url string) *asynq.Client {
	b.Helper()
	client := asynq.NewClient(plainOptions(b, url))
	b.Cleanup(func() { _ = client.Close() })
	return client
}

// plainServer is asynq with its defaults but for the number of slots.
func plainServer(b *testing.B, url string, h asynq.HandlerFunc) *asynq.Server {
	b.Helper()
	server := asynq.NewServer(plainOptions(b, url), asynq.Config{Concurrency: slots, LogLevel: asynq.FatalLevel})
	if err := server.Start(h); err != nil {
		b.Fatal(err)
	}
	return server
}

// fill makes the backlog of b.N tasks.
func fill(b *testing.B, enqueue func(i int) error) {
	b.Helper()
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := p; i < b.N; i += producers {
				if err := enqueue(i); err != nil {
					b.Error("task", strconv.Itoa(i), err)
					return
				}
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

func perSecond(b *testing.B) {
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}
