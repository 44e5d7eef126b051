package taskstest_test

import (
	"context"
	"fmt"
	"log"
	"slices"
	"testing"
	"time"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// The test of a shop: who signs up is welcomed at once, and reminded after a day.
func testSignUp(t testing.TB) {
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
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(sent)
	taskstest.AssertEnqueued(t, q, remind, mail{To: "li"})

	q.Advance(24 * time.Hour)
	fmt.Println(sent)
}

func Example() {
	t := &exampleT{}
	defer t.end()
	testSignUp(t) // in a test: testSignUp(t *testing.T)
	// Output:
	// [welcome li]
	// [welcome li remind li]
}

// exampleT stands in for the *testing.T that an example has not got.
type exampleT struct {
	testing.TB
	cleanups []func()
}

func (t *exampleT) Helper()                           {}
func (t *exampleT) Context() context.Context          { return context.Background() }
func (t *exampleT) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Errorf(format string, args ...any) { log.Printf(format, args...) }
func (t *exampleT) Fatal(args ...any)                 { log.Fatal(args...) }
func (t *exampleT) FailNow()                          { log.Fatal("failed") }

func (t *exampleT) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}
