// Package demo holds the first tasks to try: two small sums.
package demo

import (
	"context"
	"fmt"

	"github.com/paidui/paidui/tasks"
)

// AddArgs are the numbers of one sum.
type AddArgs struct {
	N int `json:"n" jsonschema:"the first number"`
	M int `json:"m" jsonschema:"the second number"`
}

var (
	// Add is n + m, on queue default. Like Low it fails at once when the result is beyond 64 bits.
	Add = tasks.Define[AddArgs, int]("demo.add", tasks.Queue("default"))
	// Low is n - m, on queue low.
	Low = tasks.Define[AddArgs, int]("demo.low", tasks.Queue("low"))
)

// Bind gives both tasks their handlers.
func Bind(m *tasks.Mux) {
	tasks.Handle(m, Add, func(_ context.Context, a AddArgs) (int, error) { return add(a.N, a.M) })
	tasks.Handle(m, Low, func(_ context.Context, a AddArgs) (int, error) { return subtract(a.N, a.M) })
}

func add(n, m int) (int, error) {
	if sum := n + m; (sum > n) == (m > 0) {
		return sum, nil
	}
	return 0, tasks.Permanent(fmt.Errorf("%d + %d is beyond the integers of 64 bits", n, m))
}

func subtract(n, m int) (int, error) {
	if difference := n - m; (difference < n) == (m > 0) {
		return difference, nil
	}
	return 0, tasks.Permanent(fmt.Errorf("%d - %d is beyond the integers of 64 bits", n, m))
}
