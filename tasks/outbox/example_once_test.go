package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/hibiken/asynq"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/outbox"
)

// exampleWorker runs the handlers that bind gives it, on an embedded Redis; worker/pool is the real thing. Call stop at
// the end.
func exampleWorker(ctx context.Context, bind func(m *tasks.Mux)) (client *tasks.Client, stop func()) {
	redis, err := embedded.Start(ctx)
	check(err)
	b, err := broker.Open(ctx, redis.URL(0), broker.Options{})
	check(err)
	client = tasks.NewClient(b)
	m := tasks.NewMux(tasks.MuxOptions{Logger: slog.New(slog.DiscardHandler), Client: client, StoreAway: models.IsAway})
	bind(m)
	queues := map[string]int{"default": 1}
	fetcher := fetch.New(b, fetch.Config{Queues: queues, Slots: 4})
	server := asynq.NewServerFromRedisClient(fetcher, m.Engine(asynq.Config{
		Concurrency: 4, Queues: queues, LogLevel: asynq.FatalLevel,
		BaseContext: func() context.Context { return fetcher.Context(ctx) },
	}))
	check(server.Start(m))
	return client, func() {
		fetcher.Stop()
		server.Shutdown()
		fetcher.Leave()
		check(b.Close())
		redis.Close()
	}
}

// The handler dies after its transaction has committed, and runs again: its effect is there once.
func ExampleOnce() {
	ctx := context.Background()
	db, err := models.Open(ctx, "sqlite://:memory:", models.Options{})
	check(err)
	defer models.Close(db)
	check(shop.Migrate(ctx, db))
	credit := func(ctx context.Context) error {
		return db.Transaction(func(tx *gorm.DB) error {
			first, err := outbox.Once(ctx, tx)
			if err != nil || !first {
				return err
			}
			return tx.Create(&shop.Banner{Title: "a row"}).Error
		})
	}
	client, stop := exampleWorker(ctx, func(m *tasks.Mux) {
		tasks.Handle(m, welcome, func(ctx context.Context, _ welcomeArgs) (bool, error) {
			if err := credit(ctx); err != nil {
				return false, err
			}
			if tasks.Current(ctx).Attempt == 1 {
				return false, tasks.RetryIn(0, errors.New("died after the commit"))
			}
			return true, nil
		})
	})
	defer stop()

	res, err := welcome.Enqueue(ctx, client, welcomeArgs{UserID: 1})
	check(err)
	fmt.Println(res.Get(ctx))
	var rows int64
	fmt.Println(db.Model(&shop.Banner{}).Count(&rows).Error, rows, "row")
	// Output:
	// true <nil>
	// <nil> 1 row
}
