package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paidui/paidui/tasks"
)

// A unique task is there once until it has ended; whoever calls again learns its id.
func ExampleUniqueUntilDone() {
	onEmbedded(func(ctx context.Context, c *tasks.Client) {
		first, err := sendMail.Enqueue(ctx, c, mail{"li@example.com"}, tasks.UniqueUntilDone())
		fmt.Println(err)
		again, err := sendMail.Enqueue(ctx, c, mail{"li@example.com"}, tasks.UniqueUntilDone())
		fmt.Println(errors.Is(err, tasks.ErrDuplicate), again.ID() == first.ID())
	})
	// Output:
	// <nil>
	// true true
}

// One mail in an hour to each user, whatever is in it.
func ExampleThrottle() {
	onEmbedded(func(ctx context.Context, c *tasks.Client) {
		hourly := []tasks.Option{tasks.Throttle(time.Hour), tasks.UniqueKey("user:7")}
		first, err := sendMail.Enqueue(ctx, c, mail{"li@example.com"}, hourly...)
		fmt.Println(err)
		again, err := sendMail.Enqueue(ctx, c, mail{"wang@example.com"}, hourly...)
		fmt.Println(errors.Is(err, tasks.ErrDuplicate), again.ID() == first.ID())
	})
	// Output:
	// <nil>
	// true true
}

// Of many calls in five seconds, the last one runs when they are over.
func ExampleDebounce() {
	onEmbedded(func(ctx context.Context, c *tasks.Client) {
		var id string
		for _, to := range []string{"li@example.com", "wang@example.com", "zhao@example.com"} {
			res, err := sendMail.Enqueue(ctx, c, mail{to}, tasks.Debounce(5*time.Second))
			if err != nil {
				panic(err)
			}
			id = res.ID()
		}
		info, err := c.Info(ctx, id)
		fmt.Println(string(info.Args), err)
	})
	// Output: {"to":"zhao@example.com"} <nil>
}
