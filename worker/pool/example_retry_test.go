package pool_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/worker/pool"
)

// Ship is a task that fails for good while the carrier is closed.
var Ship = tasks.Define[ShipArgs, string]("example.ship", tasks.MaxRetries(0))

type ShipArgs struct {
	Order string `json:"order"`
}

// A task that has failed for good is a dead letter: it is kept, listed, and run again by hand.
func Example_deadLetters() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	redis, err := embedded.Start(ctx)
	if err != nil {
		log.Fatal(err)
	}
	b, err := broker.Open(ctx, redis.URL(0), broker.Options{})
	if err != nil {
		log.Fatal(err)
	}
	var open atomic.Bool
	mux := tasks.NewMux(tasks.MuxOptions{Logger: slog.New(slog.DiscardHandler)})
	tasks.Handle(mux, Ship, func(_ context.Context, a ShipArgs) (string, error) {
		if !open.Load() {
			return "", errors.New("the carrier is closed")
		}
		return "order " + a.Order + " is on its way", nil
	})
	worker, err := pool.New(b, mux, pool.Config{
		Queues: map[string]int{"default": 1}, Concurrency: 10, Drain: 10 * time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()

	client := tasks.NewClient(b)
	res, err := Ship.Enqueue(ctx, client, ShipArgs{Order: "7"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = res.Get(ctx)
	var failure *tasks.FailureError
	fmt.Println(errors.As(err, &failure), failure.Msg)

	page, _, err := client.Dead(ctx, "default", "", 10)
	fmt.Println(len(page), page[0].State, err)

	open.Store(true)
	n, err := client.RetryDead(ctx, "default") // res.Retry(ctx) is for one
	fmt.Println(n, err)
	fmt.Println(res.Get(ctx))

	cancel()
	<-ended
	if err := b.Close(); err != nil {
		log.Print(err)
	}
	redis.Close()
	// Output:
	// true the carrier is closed
	// 1 FAILURE <nil>
	// 1 <nil>
	// order 7 is on its way <nil>
}
