package history_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/history"
)

// Records of many tasks that wait are in bundles until a Settler sees that they have ended. Workers Run one; Settle looks
// once, at all of them.
func ExampleSettler() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	db, err := models.Open(ctx, "sqlite://:memory:", models.Options{})
	exampleCheck(err)
	defer models.Close(db)
	exampleCheck(models.Migrate(ctx, db))
	redis, err := redisx.StartEmbedded(ctx)
	exampleCheck(err)
	defer redis.Close()
	b, err := broker.Open(ctx, redis.URL(0), broker.Options{Logger: quiet})
	exampleCheck(err)
	defer b.Close()

	writer, err := history.NewWriter(db, history.Options{Logger: quiet})
	exampleCheck(err)
	client := tasks.NewClient(b, tasks.ClientOptions{History: writer})
	for range 100 {
		_, err = exampleGreet.Enqueue(ctx, client, exampleArgs{Name: "Li"})
		exampleCheck(err)
	}
	exampleCheck(writer.Close(ctx))
	store, err := history.NewStore(db, client)
	exampleCheck(err)
	settler, err := history.NewSettler(store, history.SettlerOptions{Logger: quiet})
	exampleCheck(err)
	waiting, err := settler.Settle(ctx)
	exampleCheck(err)
	page, err := store.Search(ctx, history.Query{State: tasks.StatePending, Limit: 3})
	exampleCheck(err)
	fmt.Println(waiting, "in bundles;", len(page.Tasks), "on the first page, the first of them", page.Tasks[0].State)

	writer, err = history.NewWriter(db, history.Options{Logger: quiet}) // a worker's
	exampleCheck(err)
	mux := tasks.NewMux(tasks.MuxOptions{Logger: quiet, History: writer})
	var done sync.WaitGroup
	done.Add(100)
	tasks.Handle(mux, exampleGreet, func(_ context.Context, a exampleArgs) (string, error) {
		defer done.Done()
		return "Hello, " + a.Name, nil
	})
	stop := exampleWorker(b, mux)
	done.Wait()
	stop()
	exampleCheck(writer.Close(ctx))
	waiting, err = settler.Settle(ctx)
	exampleCheck(err)
	page, err = store.Search(ctx, history.Query{State: tasks.StatePending})
	exampleCheck(err)
	fmt.Println(waiting, "in bundles;", len(page.Tasks), "on the first page")
	// Output:
	// 100 in bundles; 3 on the first page, the first of them PENDING
	// 0 in bundles; 0 on the first page
}
