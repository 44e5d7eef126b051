package pool_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"time"

	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/worker/pool"
)

// Greet is the contract that producer and worker share.
var Greet = tasks.Define[GreetArgs, string]("example.greet", tasks.Queue("default"), tasks.MaxRetries(3))

type GreetArgs struct {
	Name string `json:"name"`
}

func greet(_ context.Context, a GreetArgs) (string, error) {
	return "Hello, " + strings.ToUpper(a.Name), nil
}

// A program of one's own: producer and worker in one process.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	redis, err := embedded.Start(ctx) // or the URL of a Redis of yours
	if err != nil {
		log.Fatal(err)
	}
	b, err := broker.Open(ctx, redis.URL(0), broker.Options{})
	if err != nil {
		log.Fatal(err)
	}

	mux := tasks.NewMux(tasks.MuxOptions{Logger: slog.New(slog.DiscardHandler)})
	tasks.Handle(mux, Greet, greet)
	worker, err := pool.New(b, mux, pool.Config{
		Queues: map[string]int{"default": 1}, Concurrency: 10, Drain: 10 * time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()

	res, err := Greet.Enqueue(ctx, tasks.NewClient(b), GreetArgs{Name: "gopher"})
	if err != nil {
		log.Fatal(err)
	}
	text, err := res.Get(ctx)
	fmt.Println(text, err)

	cancel() // the worker drains
	fmt.Println(<-ended)
	fmt.Println(b.Close())
	redis.Close()
	// Output:
	// Hello, GOPHER <nil>
	// <nil>
	// <nil>
}
