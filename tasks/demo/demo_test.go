package demo_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/demo"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestSums(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	client := tasks.NewClient(b)
	mux := tasks.NewMux(tasks.MuxOptions{Logger: taskstest.Quiet()})
	demo.Bind(mux)
	taskstest.Serve(t, b, mux, "default", "low")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()

	add, err := demo.Add.Enqueue(ctx, client, demo.AddArgs{N: 10, M: 20})
	require.NoError(t, err)
	low, err := demo.Low.Enqueue(ctx, client, demo.AddArgs{N: 10, M: 20})
	require.NoError(t, err)
	sum, err := add.Get(ctx)
	require.NoError(t, err)
	require.Equal(t, 30, sum)
	difference, err := low.Get(ctx)
	require.NoError(t, err)
	require.Equal(t, -10, difference)
}
