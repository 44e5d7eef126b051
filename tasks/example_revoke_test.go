package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
)

// Remind is a task that runs later.
var Remind = tasks.Define[ReminderArgs, string]("example.remind")

type ReminderArgs struct {
	Order string `json:"order"`
}

// exampleClient is a client on an embedded Redis. Call stop at the end.
func exampleClient(ctx context.Context) (client *tasks.Client, stop func()) {
	redis, err := embedded.Start(ctx)
	if err != nil {
		log.Fatal(err)
	}
	b, err := broker.Open(ctx, redis.URL(0), broker.Options{})
	if err != nil {
		log.Fatal(err)
	}
	return tasks.NewClient(b), func() {
		if err := b.Close(); err != nil {
			log.Print(err)
		}
		redis.Close()
	}
}

// An order was paid: its reminder is not needed any more.
func ExampleResult_Revoke() {
	ctx := context.Background()
	client, stop := exampleClient(ctx)
	defer stop()

	res, err := Remind.Enqueue(ctx, client, ReminderArgs{Order: "7"}, tasks.Countdown(30*time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	state, err := res.Revoke(ctx, tasks.Reason("the order is paid"))
	fmt.Println(state, err)

	_, err = res.Get(ctx)
	fmt.Println(errors.Is(err, tasks.ErrRevoked))

	_, err = res.Revoke(ctx)
	fmt.Println(errors.Is(err, tasks.ErrEnded))
	// Output:
	// REVOKED <nil>
	// true
	// true
}

// A shop closes: none of its tasks is to run.
func ExampleClient_RevokeTag() {
	ctx := context.Background()
	client, stop := exampleClient(ctx)
	defer stop()

	for i := range 3 {
		args := ReminderArgs{Order: fmt.Sprint(i)}
		if _, err := Remind.Enqueue(ctx, client, args, tasks.Tags("shop:12"), tasks.Countdown(time.Hour)); err != nil {
			log.Fatal(err)
		}
	}
	n, err := client.RevokeTag(ctx, "shop:12", tasks.Terminate())
	fmt.Println(n.Revoked, "revoked,", n.Running, "running,", err)
	// Output:
	// 3 revoked, 0 running, <nil>
}
