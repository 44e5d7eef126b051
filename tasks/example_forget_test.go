package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/paidui/paidui/tasks"
)

// Forget deletes a result before its retention has passed. A task that has not ended is not forgotten: revoke it.
func ExampleResult_Forget() {
	ctx := context.Background()
	finish := make(chan struct{})
	client, stop := exampleWorker(ctx, func(m *tasks.Mux) {
		tasks.Handle(m, exampleAdd, func(_ context.Context, a addends) (int, error) {
			<-finish
			return a.N + a.M, nil
		})
	})
	defer stop()

	res, err := exampleAdd.Enqueue(ctx, client, addends{10, 20}, tasks.ID("sum-1"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(errors.Is(res.Forget(ctx), tasks.ErrNotReady))
	close(finish)
	fmt.Println(res.Get(ctx))
	fmt.Println(res.Forget(ctx))
	_, err = res.Peek(ctx)
	fmt.Println(errors.Is(err, tasks.ErrNotFound))
	// Output:
	// true
	// 30 <nil>
	// <nil>
	// true
}
