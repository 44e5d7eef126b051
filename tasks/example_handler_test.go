package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"

	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
)

// exampleWorker runs the handlers that bind gives it, on an embedded Redis; worker/pool is the real thing. Call stop at
// the end.
func exampleWorker(ctx context.Context, bind func(m *tasks.Mux)) (client *tasks.Client, stop func()) {
	redis, err := embedded.Start(ctx)
	if err != nil {
		log.Fatal(err)
	}
	b, err := broker.Open(ctx, redis.URL(0), broker.Options{})
	if err != nil {
		log.Fatal(err)
	}
	client = tasks.NewClient(b)
	m := tasks.NewMux(tasks.MuxOptions{Logger: slog.New(slog.DiscardHandler), Client: client})
	bind(m)
	queues := map[string]int{"default": 1}
	fetcher := fetch.New(b, fetch.Config{Queues: queues, Slots: 4})
	server := asynq.NewServerFromRedisClient(fetcher, m.Engine(asynq.Config{
		Concurrency: 4, Queues: queues, LogLevel: asynq.FatalLevel,
		BaseContext: func() context.Context { return fetcher.Context(ctx) },
	}))
	if err := server.Start(m); err != nil {
		log.Fatal(err)
	}
	return client, func() {
		fetcher.Stop()
		server.Shutdown()
		fetcher.Leave()
		if err := b.Close(); err != nil {
			log.Print(err)
		}
		redis.Close()
	}
}

type report struct {
	Month string `json:"month"`
}

var makeReport = tasks.Define[report, string]("example.report", tasks.MaxRetries(1))

// The data is not there yet: the task looks again later, at no cost.
func ExampleSnooze() {
	ctx := context.Background()
	looks := 0
	client, stop := exampleWorker(ctx, func(m *tasks.Mux) {
		tasks.Handle(m, makeReport, func(_ context.Context, r report) (string, error) {
			if looks++; looks < 4 {
				return "", tasks.Snooze(10 * time.Millisecond)
			}
			return "report of " + r.Month, nil
		})
	})
	defer stop()

	res, err := makeReport.Enqueue(ctx, client, report{"May"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Get(ctx))
	info, err := client.Info(ctx, res.ID())
	fmt.Println(info.Retries, "retries", err)
	// Output:
	// report of May <nil>
	// 0 retries <nil>
}

// The other side says when to come again.
func ExampleRetryIn() {
	ctx := context.Background()
	client, stop := exampleWorker(ctx, func(m *tasks.Mux) {
		tasks.Handle(m, makeReport, func(ctx context.Context, r report) (string, error) {
			if tasks.Current(ctx).Attempt == 1 {
				return "", tasks.RetryIn(10*time.Millisecond, errors.New("429 too many requests"))
			}
			return "report of " + r.Month, nil
		})
	})
	defer stop()

	res, err := makeReport.Enqueue(ctx, client, report{"May"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Get(ctx))
	info, err := client.Info(ctx, res.ID())
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range info.Attempts {
		fmt.Println(a.Number, a.Outcome, a.Error)
	}
	// Output:
	// report of May <nil>
	// 1 retry 429 too many requests
	// 2 success
}

// errClosed says that the other side is closed for good.
var errClosed = errors.New("the account is closed")

// A definition rules errors out, and says how long to wait after the others.
func ExampleNeverRetryFor() {
	ctx := context.Background()
	charge := tasks.Define[report, string]("example.charge",
		tasks.MaxRetries(5),
		tasks.NeverRetryFor(tasks.ErrorIs(errClosed), tasks.ErrorAs[*tasks.PanicError]()),
		tasks.BackoffFunc(func(retry int, _ error) time.Duration { return time.Duration(retry) * time.Minute }),
	)
	client, stop := exampleWorker(ctx, func(m *tasks.Mux) {
		tasks.Handle(m, charge, func(context.Context, report) (string, error) {
			return "", fmt.Errorf("charge: %w", errClosed)
		})
	})
	defer stop()

	res, err := charge.Enqueue(ctx, client, report{"May"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = res.Get(ctx)
	var failure *tasks.FailureError
	fmt.Println(errors.As(err, &failure), failure.Msg)
	info, err := client.Info(ctx, res.ID())
	fmt.Println(info.Retries, "retries", err)
	// Output:
	// true charge: the account is closed
	// 0 retries <nil>
}

// A loop tells how far it is, as often as it likes.
func ExampleProgress() {
	ctx := context.Background()
	finish := make(chan struct{})
	client, stop := exampleWorker(ctx, func(m *tasks.Mux) {
		tasks.Handle(m, makeReport, func(ctx context.Context, _ report) (string, error) {
			const rows = 100_000
			for n := range int64(rows) {
				if err := tasks.Progress(ctx, n+1, rows, "rows"); err != nil {
					return "", err // the task is another worker's
				}
			}
			<-finish
			return "done", nil
		})
	})
	defer stop()

	res, err := makeReport.Enqueue(ctx, client, report{"May"})
	if err != nil {
		log.Fatal(err)
	}
	for {
		info, err := client.Info(ctx, res.ID())
		if err != nil {
			log.Fatal(err)
		}
		if p := info.Progress; p != nil && p.Done == p.Total {
			fmt.Println(info.State, p.Done, "of", p.Total, p.Note)
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	close(finish)
	fmt.Println(res.Get(ctx))
	// Output:
	// PROGRESS 100000 of 100000 rows
	// done <nil>
}

// A task follows another, and gets its result.
func ExampleParentResult() {
	ctx := context.Background()
	mailReport := tasks.Define[report, string]("example.mail-report")
	client, stop := exampleWorker(ctx, func(m *tasks.Mux) {
		tasks.Handle(m, makeReport, func(_ context.Context, r report) (string, error) { return "report of " + r.Month, nil })
		tasks.Handle(m, mailReport, func(ctx context.Context, _ report) (string, error) {
			text, err := tasks.ParentResult[string](ctx)
			return "mailed: " + text, err
		})
	})
	defer stop()

	_, err := makeReport.Enqueue(ctx, client, report{"May"},
		tasks.OnSuccess(mailReport.Signature(report{"May"}, tasks.ID("mail-may"))))
	if err != nil {
		log.Fatal(err)
	}
	mailed := mailReport.Result(client, "mail-may")
	for {
		text, err := mailed.Get(ctx)
		if errors.Is(err, tasks.ErrNotFound) { // the report is not made yet
			time.Sleep(5 * time.Millisecond)
			continue
		}
		fmt.Println(text, err)
		return
	}
	// Output:
	// mailed: report of May <nil>
}

// A handler that does not look at its context loses its slot at the hard limit.
func ExampleHardTimeout() {
	ctx := context.Background()
	finish, refused := make(chan struct{}), make(chan error)
	client, stop := exampleWorker(ctx, func(m *tasks.Mux) {
		tasks.Handle(m, makeReport, func(ctx context.Context, _ report) (string, error) {
			<-finish
			refused <- tasks.Progress(ctx, 1, 2, "still here")
			return "too late", nil
		})
	})
	defer stop()

	res, err := makeReport.Enqueue(ctx, client, report{"May"},
		tasks.Timeout(50*time.Millisecond), tasks.HardTimeout(100*time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	_, err = res.Get(ctx)
	var failure *tasks.FailureError
	fmt.Println(errors.As(err, &failure), failure.Msg)
	close(finish)
	fmt.Println(errors.Is(<-refused, tasks.ErrFenced))
	// Output:
	// true exceeded its hard time limit of 100ms: the handler ignores the end of its context
	// true
}
