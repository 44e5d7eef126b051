package history_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/history"
)

type exampleArgs struct {
	Name string `json:"name"`
}

var exampleGreet = tasks.Define[exampleArgs, string]("greet.hello", tasks.Retention(0)) // Redis keeps no result

// One Writer a process remembers tasks for the client and the mux; a Store finds them.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	db, err := models.Open(ctx, "sqlite://:memory:", models.Options{})
	exampleCheck(err)
	defer models.Close(db)
	exampleCheck(shop.Migrate(ctx, db))
	redis, err := embedded.Start(ctx)
	exampleCheck(err)
	defer redis.Close()
	b, err := broker.Open(ctx, redis.URL(0), broker.Options{Logger: quiet})
	exampleCheck(err)
	defer b.Close()

	writer, err := history.NewWriter(db, history.Options{Logger: quiet})
	exampleCheck(err)
	client := tasks.NewClient(b, tasks.ClientOptions{History: writer})
	mux := tasks.NewMux(tasks.MuxOptions{Logger: quiet, History: writer})
	done := make(chan struct{})
	tasks.Handle(mux, exampleGreet, func(_ context.Context, a exampleArgs) (string, error) {
		defer close(done)
		return "Hello, " + a.Name, nil
	})
	stop := exampleWorker(b, mux)
	greeting, err := exampleGreet.Enqueue(ctx, client, exampleArgs{Name: "Li"}, tasks.Tags("order-7"))
	exampleCheck(err)
	<-done
	stop()
	exampleCheck(writer.Close(ctx)) // after the worker has drained, before the database is closed

	_, err = client.Info(ctx, greeting.ID())
	fmt.Println("Redis:", err != nil)
	store, err := history.NewStore(db, client)
	exampleCheck(err)
	page, err := store.Search(ctx, history.Query{Tag: "order-7", State: tasks.StateSuccess})
	exampleCheck(err)
	for _, info := range page.Tasks {
		fmt.Println("history:", info.Task, info.State, string(info.Args), string(info.Result))
	}
	// Output:
	// Redis: true
	// history: greet.hello SUCCESS {"name":"Li"} "Hello, Li"
}

// exampleWorker runs the tasks of queue default until stop is called. Programs use worker/pool.
func exampleWorker(b *broker.Broker, mux *tasks.Mux) (stop func()) {
	queues := map[string]int{"default": 1}
	fetcher := fetch.New(b, fetch.Config{Queues: queues, Slots: 1})
	server := asynq.NewServerFromRedisClient(fetcher, mux.Engine(asynq.Config{
		Concurrency: 1, Queues: queues, LogLevel: asynq.FatalLevel, BaseContext: func() context.Context { return fetcher.Context(context.Background()) },
	}))
	exampleCheck(server.Start(mux))
	return func() {
		fetcher.Stop()
		server.Shutdown()
		fetcher.Leave()
	}
}

func exampleCheck(err error) {
	if err != nil {
		panic(err)
	}
}
