package demo_test

import (
	"context"
	"math"
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
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
	demo.Bind(mux)
	taskstest.Serve(t, b, mux, "default", "low")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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

	for _, refused := range []struct {
		task *tasks.Definition[demo.AddArgs, int]
		args demo.AddArgs
		says string
	}{
		{demo.Add, demo.AddArgs{N: math.MaxInt, M: 1}, "9223372036854775807 + 1 is beyond the integers of 64 bits"},
		{demo.Add, demo.AddArgs{N: -2, M: math.MinInt}, "-2 + -9223372036854775808 is beyond"},
		{demo.Low, demo.AddArgs{N: 0, M: math.MinInt}, "0 - -9223372036854775808 is beyond"},
		{demo.Low, demo.AddArgs{N: math.MinInt, M: 1}, "-9223372036854775808 - 1 is beyond"},
	} {
		res, err := refused.task.Enqueue(ctx, client, refused.args)
		require.NoError(t, err)
		_, err = res.Get(ctx)
		var failure *tasks.FailureError
		require.ErrorAs(t, err, &failure)
		require.Contains(t, failure.Msg, refused.says)
		info, err := client.Info(ctx, res.ID())
		require.NoError(t, err)
		require.Equal(t, tasks.StateFailure, info.State)
		require.Zero(t, info.Retries, "another try comes to the same")
	}
	for args, want := range map[demo.AddArgs]int{
		{N: math.MaxInt, M: math.MinInt}: -1, {N: math.MaxInt}: math.MaxInt, {N: math.MinInt}: math.MinInt, {N: -1, M: -1}: -2,
	} {
		res, err := demo.Add.Enqueue(ctx, client, args)
		require.NoError(t, err)
		sum, err := res.Get(ctx)
		require.NoError(t, err)
		require.Equal(t, want, sum)
	}
}

// TestIntegersAreThoseOfJSONSchema: a number without a fraction is one, however it is written.
func TestIntegersAreThoseOfJSONSchema(t *testing.T) {
	t.Parallel()
	for number, fine := range map[string]bool{
		"1": true, "1.0": true, "1e3": true, "-0": true, "12.50e1": true, "9223372036854775807": true,
		"1.5": false, "1e-1": false, "9223372036854775808": false, "1e19": false, "1e400": false, `"1"`: false, "null": false, "true": false,
	} {
		err := demo.Add.CheckArgs([]byte(`{"n":` + number + `,"m":2}`))
		if fine {
			require.NoError(t, err, number)
			continue
		}
		var wrong *tasks.ArgsError
		require.ErrorAs(t, err, &wrong, number)
		require.Equal(t, "n", wrong.Field, number)
	}
}
