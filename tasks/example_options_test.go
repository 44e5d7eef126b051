package tasks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
)

type mail struct {
	To string `json:"to"`
}

var (
	sendMail = tasks.Define[mail, string]("example.mail", tasks.Queue("mail"), tasks.Tags("mail"))
	noteLoss = tasks.Define[mail, string]("example.note-loss")
)

// onEmbedded runs f with a client on a Redis of its own.
func onEmbedded(f func(ctx context.Context, c *tasks.Client), opt ...tasks.ClientOptions) {
	ctx := context.Background()
	e, err := embedded.Start(ctx)
	if err != nil {
		panic(err)
	}
	defer e.Close()
	b, err := broker.Open(ctx, e.URL(0), broker.Options{})
	if err != nil {
		panic(err)
	}
	defer b.Close()
	f(ctx, tasks.NewClient(b, opt...))
}

// Options say how a task is enqueued and run.
func ExampleOption() {
	onEmbedded(func(ctx context.Context, c *tasks.Client) {
		res, err := sendMail.Enqueue(ctx, c, mail{"li@example.com"},
			tasks.ID("welcome-7"),
			tasks.Countdown(time.Hour),
			tasks.Priority(tasks.High),
			tasks.Tags("user:7"),
			tasks.Header("tenant", "t1"),
			tasks.Timeout(time.Minute),
			tasks.HardTimeout(70*time.Second),
			tasks.OnFailure(noteLoss.Signature(mail{"li@example.com"})),
		)
		fmt.Println(res.ID(), err)
		_, err = sendMail.Enqueue(ctx, c, mail{"li@example.com"}, tasks.Tags("two words"))
		var wrong *tasks.OptionError
		fmt.Println(errors.As(err, &wrong), wrong.Field)
	})
	// Output:
	// welcome-7 <nil>
	// true tags
}

// A definition says which errors are worth a retry, and how long to wait.
func ExampleRetryOnlyFor() {
	patient := tasks.Define[mail, string]("example.patient",
		tasks.MaxRetries(5),
		tasks.RetryOnlyFor(tasks.ErrorIs(context.DeadlineExceeded), tasks.ErrorAs[*fs.PathError]()),
		tasks.BackoffFunc(func(retry int, _ error) time.Duration { return time.Duration(retry+1) * time.Second }),
	)
	fmt.Println(patient.Name(), *patient.Options().MaxRetries)
	// Output: example.patient 5
}

// A signature is a call that can be stored, sent, and enqueued by a program that does not know the definition.
func ExampleSignature() {
	onEmbedded(func(ctx context.Context, c *tasks.Client) {
		call := sendMail.Signature(mail{"li@example.com"}, tasks.MaxRetries(1), tasks.ID("once"))
		stored, err := json.Marshal(call)
		fmt.Println(string(stored), err)

		var later tasks.Signature
		if err := json.Unmarshal(stored, &later); err != nil {
			panic(err)
		}
		fmt.Println(later.With(tasks.Priority(tasks.Low)).Enqueue(ctx, c))
	})
	// Output:
	// {"task":"example.mail","args":{"to":"li@example.com"},"id":"once","max_retries":1,"tags":["mail"],"definition_queue":"mail"} <nil>
	// once <nil>
}

// A resolved signature is the same task whenever, and however often, it is enqueued.
func ExampleSignature_Resolve() {
	onEmbedded(func(ctx context.Context, c *tasks.Client) {
		call, id, err := sendMail.Signature(mail{"li@example.com"}, tasks.Countdown(time.Minute)).Resolve(ctx, c)
		if err != nil {
			panic(err)
		}
		for range 2 {
			again, err := call.Enqueue(ctx, c)
			fmt.Println(again == id, err)
		}
	})
	// Output:
	// true <nil>
	// true <nil>
}

// Routes move tasks to other queues by their names.
func ExampleParseRoutes() {
	routes, err := tasks.ParseRoutes("example.*=bulk, sms.*=fast")
	if err != nil {
		panic(err)
	}
	onEmbedded(func(_ context.Context, c *tasks.Client) {
		fmt.Println(c.QueueOf(sendMail))
	}, tasks.ClientOptions{Routes: routes})
	// Output: bulk
}
