package tasks_test

import (
	"context"
	"testing"

	"github.com/hibiken/asynq"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
)

// BenchmarkProcessTask is a task whose handler does nothing, as asynq runs it: in a goroutine that is new each time.
func BenchmarkProcessTask(b *testing.B) {
	m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
	tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) { return a.N, nil })
	task := asynq.NewTaskWithHeaders("test.sum", []byte(`{"n":1}`), map[string]string{"enq": "1", "nores": "1"})
	ended := make(chan error, 1)
	b.ReportAllocs()
	for b.Loop() {
		go func() { ended <- m.ProcessTask(b.Context(), task) }()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
}
