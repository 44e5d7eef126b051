package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/paidui/paidui/tasks"
)

type addends struct{ N, M int }

var exampleAdd = tasks.Define[addends, int]("example.add")

// Get waits for as long as its context lets it, and is told of the end: it does not ask again and again.
func ExampleResult_Get() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client, stop := exampleWorker(ctx, func(m *tasks.Mux) {
		tasks.Handle(m, exampleAdd, func(_ context.Context, a addends) (int, error) {
			if a.N < 0 {
				return 0, tasks.Permanent(errors.New("no negative numbers"))
			}
			return a.N + a.M, nil
		})
	})
	defer stop()

	res, err := exampleAdd.Enqueue(ctx, client, addends{10, 20})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Get(ctx))

	if res, err = exampleAdd.Enqueue(ctx, client, addends{-1, 0}); err != nil {
		log.Fatal(err)
	}
	_, err = res.Get(ctx)
	var failure *tasks.FailureError
	fmt.Println(errors.As(err, &failure), failure.Msg)

	if res, err = exampleAdd.Enqueue(ctx, client, addends{1, 2}, tasks.Countdown(time.Hour)); err != nil {
		log.Fatal(err)
	}
	short, end := context.WithTimeout(ctx, 50*time.Millisecond)
	defer end()
	_, err = res.Get(short)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// 30 <nil>
	// true no negative numbers
	// true
}

// Peek is Get for those who do not want to wait.
func ExampleResult_Peek() {
	ctx := context.Background()
	finish := make(chan struct{})
	client, stop := exampleWorker(ctx, func(m *tasks.Mux) {
		tasks.Handle(m, exampleAdd, func(_ context.Context, a addends) (int, error) {
			<-finish
			return a.N + a.M, nil
		})
	})
	defer stop()

	res, err := exampleAdd.Enqueue(ctx, client, addends{10, 20})
	if err != nil {
		log.Fatal(err)
	}
	_, err = res.Peek(ctx)
	fmt.Println(errors.Is(err, tasks.ErrNotReady))
	close(finish)
	if _, err := res.Get(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Peek(ctx))
	_, err = exampleAdd.Result(client, "no-such-task").Peek(ctx)
	fmt.Println(errors.Is(err, tasks.ErrNotFound))
	// Output:
	// true
	// 30 <nil>
	// true
}

var boil = tasks.Define[string, string]("example.boil")

// Watch follows a task until it has ended. Of changes that come faster than the loop takes them it sees the latest.
func ExampleClient_Watch() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	begin, finish := make(chan struct{}), make(chan struct{})
	client, stop := exampleWorker(ctx, func(m *tasks.Mux) {
		tasks.Handle(m, boil, func(ctx context.Context, what string) (string, error) {
			<-begin
			if err := tasks.Progress(ctx, 1, 2, "it sings"); err != nil {
				return "", err
			}
			<-finish
			return what + " is ready", nil
		})
	})
	defer stop()

	res, err := boil.Enqueue(ctx, client, "tea", tasks.Countdown(time.Second))
	if err != nil {
		log.Fatal(err)
	}
	var last tasks.State
	for info, err := range client.Watch(ctx, res.ID()) {
		if err != nil {
			log.Fatal(err)
		}
		if info.State == last {
			continue // another change, such as that its time has come
		}
		last = info.State
		fmt.Println(last)
		switch last {
		case tasks.StateStarted:
			close(begin)
		case tasks.StateProgress:
			fmt.Println(info.Progress.Done, "of", info.Progress.Total, info.Progress.Note)
			close(finish)
		case tasks.StateSuccess:
			fmt.Println(string(info.Result))
		}
	}
	// Output:
	// PENDING
	// STARTED
	// PROGRESS
	// 1 of 2 it sings
	// SUCCESS
	// "tea is ready"
}
