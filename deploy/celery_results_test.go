package deploy_test

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

// celeryResults are about what becomes of a call.
var celeryResults = map[string]func(*testing.T){
	"AsyncResult": func(t *testing.T) {
		q := adding(t)
		_, err := demo.Add.Enqueue(t.Context(), q.Client, demo.AddArgs{N: 1, M: 2}, tasks.ID("known"))
		require.NoError(t, err)
		res := demo.Add.Result(q.Client, "known")
		require.Equal(t, tasks.StateSuccess, state(t, res))
		sum, err := res.Peek(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, sum)
		require.NoError(t, res.Forget(t.Context()))
		_, err = res.Get(t.Context())
		require.ErrorIs(t, err, tasks.ErrNotFound)
	},
	"ignore_result": func(t *testing.T) {
		q := adding(t)
		res, err := demo.Add.Enqueue(t.Context(), q.Client, demo.AddArgs{}, tasks.Retention(0))
		require.NoError(t, err)
		_, err = res.State(t.Context())
		require.ErrorIs(t, err, tasks.ErrNotFound)
	},
	"result_expires": func(t *testing.T) {
		q := adding(t)
		res, err := demo.Add.Enqueue(t.Context(), q.Client, demo.AddArgs{}, tasks.Retention(24*time.Hour))
		require.NoError(t, err)
		require.Equal(t, tasks.StateSuccess, state(t, res))
		until := q.Broker.Redis().ZScore(t.Context(), "asynq:{default}:completed", res.ID()).Val()
		require.InDelta(t, time.Now().Add(24*time.Hour).Unix(), until, 60)
	},
	"update_state": func(t *testing.T) {
		b := taskstest.Embedded(t)
		c := tasks.NewClient(b)
		m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
		over := make(chan struct{})
		tasks.Handle(m, after, func(ctx context.Context, _ struct{}) (int, error) {
			if err := tasks.Progress(ctx, 3, 10, "rows"); err != nil {
				return 0, err
			}
			<-over
			return 0, nil
		})
		taskstest.Serve(t, b, m, "default")
		res, err := after.Enqueue(t.Context(), c, struct{}{})
		require.NoError(t, err)
		for info, err := range c.Watch(t.Context(), res.ID()) {
			require.NoError(t, err)
			if info.State == tasks.StateProgress {
				require.EqualValues(t, 3, info.Progress.Done)
				break
			}
		}
		close(over)
	},
	"revoke(terminate=True)": func(t *testing.T) {
		b := taskstest.Embedded(t)
		c := tasks.NewClient(b)
		m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
		begun := make(chan struct{})
		tasks.Handle(m, after, func(ctx context.Context, _ struct{}) (int, error) {
			close(begun)
			<-ctx.Done()
			return 0, ctx.Err()
		})
		taskstest.Serve(t, b, m, "default")
		res, err := after.Enqueue(t.Context(), c, struct{}{})
		require.NoError(t, err)
		<-begun
		_, err = res.Revoke(t.Context(), tasks.Terminate())
		require.NoError(t, err)
		_, err = res.Get(t.Context())
		require.ErrorIs(t, err, tasks.ErrRevoked)
	},
}
