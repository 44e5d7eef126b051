package taskstest_test

import (
	"context"
	"testing"
	"time"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// The test of a shop: who signs up is welcomed at once, and reminded after a day.
func Example() {
	_ = func(t *testing.T) {
		var sent []string
		q := taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, c *tasks.Client) {
			tasks.Handle(m, welcome, func(ctx context.Context, a mail) (string, error) {
				sent = append(sent, "welcome "+a.To)
				_, err := remind.Enqueue(ctx, c, a, tasks.Countdown(24*time.Hour))
				return "sent", err
			})
			tasks.Handle(m, remind, func(_ context.Context, a mail) (string, error) {
				sent = append(sent, "remind "+a.To)
				return "sent", nil
			})
		}})

		_, err := welcome.Enqueue(t.Context(), q.Client, mail{To: "li"}) // runs inline
		if err != nil || len(sent) != 1 {
			t.Fatal(sent, err)
		}
		taskstest.AssertEnqueued(t, q, remind, mail{To: "li"})

		q.Advance(24 * time.Hour)
		if len(sent) != 2 {
			t.Fatal(sent)
		}
	}
}
