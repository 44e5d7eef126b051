package deploy_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/scheduler/beat"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/demo"
	"github.com/paidui/paidui/tasks/taskstest"
)

// celeryRuns are about how and when tasks run.
var celeryRuns = map[string]func(*testing.T){
	"soft_time_limit": func(t *testing.T) {
		q := taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) {
			tasks.Handle(m, after, func(ctx context.Context, _ struct{}) (int, error) {
				<-ctx.Done()
				return 0, errors.Join(ctx.Err(), errors.New("tidied up"))
			})
		}})
		res, err := after.Enqueue(t.Context(), q.Client, struct{}{}, tasks.Timeout(50*time.Millisecond), tasks.MaxRetries(0))
		require.NoError(t, err)
		_, err = res.Get(t.Context())
		require.ErrorContains(t, err, "tidied up")
	},
	"time_limit": func(t *testing.T) {
		release := make(chan struct{})
		t.Cleanup(func() { close(release) })
		q := taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) {
			tasks.Handle(m, after, func(context.Context, struct{}) (int, error) {
				<-release // deaf to its context
				return 0, nil
			})
		}})
		res, err := after.Enqueue(t.Context(), q.Client, struct{}{}, tasks.Timeout(50*time.Millisecond), tasks.HardTimeout(200*time.Millisecond))
		require.NoError(t, err)
		require.Equal(t, tasks.StateFailure, state(t, res))
	},
	"acks_late": func(t *testing.T) {
		b := taskstest.Embedded(t)
		c := tasks.NewClient(b)
		m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
		tasks.Handle(m, after, func(ctx context.Context, _ struct{}) (int, error) {
			return int(b.Redis().LLen(ctx, "asynq:{default}:active").Val()), nil
		})
		taskstest.Serve(t, b, m, "default")
		res, err := after.Enqueue(t.Context(), c, struct{}{})
		require.NoError(t, err)
		held, err := res.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, held, "while it runs, Redis has it still")
	},
	"task_always_eager": func(t *testing.T) {
		q := taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) { demo.Bind(m) }})
		res, err := demo.Add.Enqueue(t.Context(), q.Client, demo.AddArgs{N: 1, M: 1})
		require.NoError(t, err)
		sum, err := res.Peek(t.Context()) // it has run
		require.NoError(t, err)
		require.Equal(t, 2, sum)
		taskstest.AssertEnqueued(t, q, demo.Add, demo.AddArgs{N: 1, M: 1})
	},
	"beat_schedule": func(t *testing.T) {
		b := taskstest.Embedded(t)
		client := tasks.NewClient(b)
		catalog, err := tasks.NewCatalog(demo.Add)
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "schedules.yaml")
		text := "schedules:\n  - {name: every-second, task: demo.add, args: {n: 33, m: 66}, every: 1s, priority: high}\n" +
			"  - {name: monday-eight, task: demo.add, args: {n: 1, m: 1}, cron: \"0 8 * * 1\", paused: true}\n"
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		var schedulers sync.WaitGroup
		t.Cleanup(func() {
			stop()
			schedulers.Wait()
		})
		for range 2 {
			scheduler, err := beat.New(beat.Options{Path: file, Catalog: catalog, Client: client, Redis: b.Redis(), Logger: testenv.Quiet()})
			require.NoError(t, err)
			schedulers.Go(func() { _ = scheduler.Run(ctx) })
		}
		m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
		ran := make(chan demo.AddArgs, 100)
		tasks.Handle(m, demo.Add, func(_ context.Context, a demo.AddArgs) (int, error) {
			ran <- a
			return a.N + a.M, nil
		})
		taskstest.Serve(t, b, m, "default")
		begun := time.Now()
		for range 3 {
			require.Equal(t, demo.AddArgs{N: 33, M: 66}, <-ran)
		}
		require.Greater(t, time.Since(begun), time.Second, "of each tick there is one, though there are two schedulers")
	},
}
