// Command ticker is a worker and a scheduler in one process: every second it enqueues a task, and runs it. It needs Redis only,
// and any number of it may run on one: each tick is enqueued once.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/scheduler/beat"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/worker/pool"
)

// Cheer says something nice to somebody.
var Cheer = tasks.Define[CheerArgs, string]("ticker.cheer", tasks.Timeout(5*time.Second))

// CheerArgs are the arguments of Cheer.
type CheerArgs struct {
	Name string `json:"name"`
}

const schedules = `
schedules:
  - {name: cheer, task: ticker.cheer, args: {name: gopher}, every: 1s}
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("REDIS_URL"), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run works until ctx ends; what runs then may finish.
func run(ctx context.Context, url string, out io.Writer) error {
	if url == "" {
		redis, err := embedded.Start(context.WithoutCancel(ctx)) // the worker drains after ctx has ended
		if err != nil {
			return err
		}
		defer redis.Close()
		url = redis.URL(0)
	}
	b, err := broker.Open(ctx, url, broker.Options{})
	if err != nil {
		return err
	}
	defer b.Close()
	client := tasks.NewClient(b)
	catalog, err := tasks.NewCatalog(Cheer)
	if err != nil {
		return err
	}

	mux := tasks.NewMux(tasks.MuxOptions{Client: client})
	tasks.Handle(mux, Cheer, func(ctx context.Context, a CheerArgs) (string, error) {
		text := "Well done, " + a.Name + "!"
		_, err := fmt.Fprintln(out, text)
		return text, err
	})
	worker, err := pool.New(b, mux, pool.Config{Queues: map[string]int{"default": 1}, Concurrency: 4, Drain: 10 * time.Second})
	if err != nil {
		return err
	}
	scheduler, err := beat.New(beat.Options{Content: []byte(schedules), Catalog: catalog, Client: client, Redis: b.Redis()})
	if err != nil {
		return err
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return worker.Run(ctx) })
	parts.Go(func() error { return scheduler.Run(ctx) })
	return parts.Wait()
}
