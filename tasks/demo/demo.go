// Package demo holds the first tasks to try: two small sums.
package demo

import (
	"context"

	"github.com/paidui/paidui/tasks"
)

// AddArgs are the numbers of one sum.
type AddArgs struct {
	N int `json:"n" jsonschema:"the first number"`
	M int `json:"m" jsonschema:"the second number"`
}

var (
	// Add is n + m, on queue default.
	Add = tasks.Define[AddArgs, int]("demo.add", tasks.Queue("default"))
	// Low is n - m, on queue low.
	Low = tasks.Define[AddArgs, int]("demo.low", tasks.Queue("low"))
)

// Bind gives both tasks their handlers.
func Bind(m *tasks.Mux) {
	tasks.Handle(m, Add, func(_ context.Context, a AddArgs) (int, error) { return a.N + a.M, nil })
	tasks.Handle(m, Low, func(_ context.Context, a AddArgs) (int, error) { return a.N - a.M, nil })
}
