package boot_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/worker/pool"
)

// GreetArgs are the arguments of Greet.
type GreetArgs struct {
	Name string `json:"name"`
}

// Greet is the contract that producer and worker share.
var Greet = tasks.Define[GreetArgs, string]("example.greet")

func greet(_ context.Context, a GreetArgs) (string, error) {
	return "Hello, " + strings.ToUpper(a.Name), nil
}

// greetings is a whole program; its main is boot.Main(greetings()).
func greetings() boot.App {
	catalog, err := tasks.NewCatalog(Greet)
	check(err)
	return boot.App{
		Name:    "greetings",
		Catalog: catalog,
		Bind:    func(m *tasks.Mux, _ boot.Deps) { tasks.Handle(m, Greet, greet) },
	}
}

// A program of one's own has the commands api, worker, scheduler, local, migrate and health. This one runs all in one
// process, without a database, and calls its task from a part of its own.
func ExampleApp() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	app := greetings()
	app.NoDatabase = true
	app.Open = func(_ context.Context, h *boot.Host) error {
		h.Run("caller", func(ctx context.Context) error {
			defer stop() // as a signal would
			res, err := Greet.Enqueue(ctx, h.Client, GreetArgs{Name: "gopher"})
			if err != nil {
				return err
			}
			text, err := res.Get(ctx)
			fmt.Println(text)
			return err
		})
		return nil
	}
	cfg, err := app.Load(config.Local, nil, []string{
		"PAIDUI_HTTP_ADDR=127.0.0.1:0", "PAIDUI_ADMIN_ADDR=127.0.0.1:0", "PAIDUI_SHUTDOWN_DELAY=0s", "PAIDUI_LOG_LEVEL=error",
	})
	check(err)
	check(boot.Local(ctx, app, cfg, io.Discard))
	// Output: Hello, GOPHER
}

// A program that enqueues only needs three lines, from a URL to a client.
func Example_enqueueOnly() {
	ctx := context.Background()
	url, end := redisURL(ctx)
	defer end()

	b, err := broker.Open(ctx, url, broker.Options{})
	check(err)
	defer b.Close()
	client := tasks.NewClient(b)

	res, err := Greet.Enqueue(ctx, client, GreetArgs{Name: "gopher"})
	check(err)
	state, err := res.State(ctx)
	fmt.Println(state, err)
	// Output: PENDING <nil>
}

// A worker alone runs in a program that has its own configuration, signals and HTTP.
func Example_workerOnly() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	url, end := redisURL(ctx)
	defer end()
	b, err := broker.Open(ctx, url, broker.Options{})
	check(err)
	defer b.Close()
	client := tasks.NewClient(b)

	mux := tasks.NewMux(tasks.MuxOptions{Logger: slog.New(slog.DiscardHandler), Client: client})
	tasks.Handle(mux, Greet, greet)
	worker, err := pool.New(b, mux, pool.Config{
		Queues: map[string]int{"default": 1}, Concurrency: 10, Drain: 10 * time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	check(err)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(running) }()

	res, err := Greet.Enqueue(ctx, client, GreetArgs{Name: "gopher"})
	check(err)
	fmt.Println(res.Get(ctx))
	stop() // it drains
	fmt.Println(<-ended)
	// Output:
	// Hello, GOPHER <nil>
	// <nil>
}

// The outbox works on a database that the host has opened, as a *gorm.DB or as a *sql.DB, beside its own tables. models.Migrate
// makes Paidui's, all of which begin with paidui_.
func Example_outboxOfTheHost() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	url, end := redisURL(ctx)
	defer end()
	b, err := broker.Open(ctx, url, broker.Options{})
	check(err)
	defer b.Close()
	client := tasks.NewClient(b)

	pool, err := sql.Open("sqlite", "file:/host?vfs=memdb&_txlock=immediate") // the host's
	check(err)
	defer pool.Close()
	pool.SetMaxIdleConns(4)                                             // one that is open keeps a database in memory
	db, err := gorm.Open(&sqlite.Dialector{Conn: pool}, &gorm.Config{}) // or the host's *gorm.DB
	check(err)
	check(models.Migrate(ctx, db))
	ob, err := outbox.New(db, client, outbox.Options{Logger: slog.New(slog.DiscardHandler)})
	check(err)
	check(db.Use(ob))
	ended := make(chan error, 1)
	go func() { ended <- ob.Run(ctx) }()

	check(db.Transaction(func(tx *gorm.DB) error { // with GORM
		_, err := Greet.EnqueueTx(ctx, outbox.Tx(tx), GreetArgs{Name: "gorm"}, tasks.ID("of-gorm"))
		return err
	}))
	tx, err := pool.BeginTx(ctx, nil) // with database/sql
	check(err)
	_, err = Greet.EnqueueTx(ctx, ob.Tx(tx), GreetArgs{Name: "sql"}, tasks.ID("of-sql"))
	check(err)
	check(tx.Commit())
	ob.Committed() // else they are found a second later

	for _, id := range []string{"of-gorm", "of-sql"} {
		state, err := Greet.Result(client, id).State(ctx)
		fmt.Println(id, state, err)
	}
	cancel()
	check(<-ended)
	// Output:
	// of-gorm PENDING <nil>
	// of-sql PENDING <nil>
}

// redisURL is a Redis of the example's: yours has a URL.
func redisURL(ctx context.Context) (url string, end func()) {
	redis, err := embedded.Start(ctx)
	check(err)
	return redis.URL(1), redis.Close
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
