package deploy_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// celeryRetries are about tasks that fail.
var celeryRetries = map[string]func(*testing.T){
	"autoretry_for": func(t *testing.T) {
		runs := attempts(t, tasks.Define[struct{}, int]("celery.autoretry", tasks.MaxRetries(2),
			tasks.RetryOnlyFor(tasks.ErrorIs(errBroken), tasks.ErrorAs[*fs.PathError]())), errBroken)
		require.Equal(t, 3, runs)
		runs = attempts(t, tasks.Define[struct{}, int]("celery.autoretry", tasks.MaxRetries(2),
			tasks.RetryOnlyFor(tasks.ErrorIs(errBroken))), errors.New("another"))
		require.Equal(t, 1, runs)
	},
	"autoretry_for=(OperationalError,), max_retries=None": func(t *testing.T) {
		runs := 0
		d := tasks.Define[struct{}, int]("celery.away", tasks.MaxRetries(0), tasks.SnoozeFor(tasks.StoreAway()))
		q := taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) {
			tasks.Handle(m, d, func(context.Context, struct{}) (int, error) {
				if runs++; runs < 4 {
					return 0, driver.ErrBadConn
				}
				return runs, nil
			})
		}})
		res, err := d.Enqueue(t.Context(), q.Client, struct{}{})
		require.NoError(t, err)
		q.Advance(time.Hour)
		require.Equal(t, tasks.StateSuccess, state(t, res))
		require.Equal(t, 4, runs)
	},
	"dont_autoretry_for": func(t *testing.T) {
		runs := attempts(t, tasks.Define[struct{}, int]("celery.dont", tasks.NeverRetryFor(tasks.ErrorIs(sql.ErrNoRows))), sql.ErrNoRows)
		require.Equal(t, 1, runs)
	},
	"retry_backoff": func(t *testing.T) {
		d := tasks.Define[struct{}, int]("celery.backoff", tasks.MaxRetries(3), tasks.Backoff(time.Second, time.Minute), tasks.Jitter(false))
		require.Equal(t, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, waits(t, d))
	},
	"retry_backoff_max": func(t *testing.T) {
		d := tasks.Define[struct{}, int]("celery.cap", tasks.MaxRetries(3), tasks.Backoff(time.Second, 2*time.Second), tasks.Jitter(false))
		require.Equal(t, []time.Duration{time.Second, 2 * time.Second, 2 * time.Second}, waits(t, d))
	},
	"retry_jitter": func(t *testing.T) {
		d := tasks.Define[struct{}, int]("celery.jitter", tasks.MaxRetries(30), tasks.Backoff(time.Hour, time.Hour), tasks.Jitter(true))
		list := waits(t, d)
		require.Less(t, slices.Min(list), slices.Max(list))
		require.LessOrEqual(t, slices.Max(list), time.Hour)
	},
	"max_retries": func(t *testing.T) {
		require.Equal(t, 6, attempts(t, tasks.Define[struct{}, int]("celery.max", tasks.MaxRetries(5)), errBroken))
	},
	"Reject": func(t *testing.T) {
		q := taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) {
			tasks.Handle(m, failing, func(context.Context, struct{}) (int, error) { return 0, tasks.Permanent(errBroken) })
		}})
		res, err := failing.Enqueue(t.Context(), q.Client, struct{}{})
		require.NoError(t, err)
		require.Equal(t, tasks.StateFailure, state(t, res))
		dead, _, err := q.Client.Dead(t.Context(), "default", "", 10)
		require.NoError(t, err)
		require.Equal(t, res.ID(), dead[0].ID)
		require.NoError(t, res.Retry(t.Context()))
	},
	"Reject(requeue=True)": func(t *testing.T) {
		runs := 0
		q := taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) {
			tasks.Handle(m, after, func(ctx context.Context, _ struct{}) (int, error) {
				if runs++; runs < 4 {
					return 0, tasks.Snooze(time.Minute)
				}
				return tasks.Current(ctx).Attempt, nil
			})
		}})
		res, err := after.Enqueue(t.Context(), q.Client, struct{}{}, tasks.MaxRetries(0))
		require.NoError(t, err)
		q.Advance(time.Hour)
		attempt, err := res.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, attempt, "a snooze costs no attempt")
		require.Equal(t, 4, runs)
	},
}

// attempts counts how often a task runs that always fails so.
func attempts(t *testing.T, d *tasks.Definition[struct{}, int], fails error) int {
	runs := 0
	q := taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) {
		tasks.Handle(m, d, func(context.Context, struct{}) (int, error) { runs++; return 0, fails })
	}})
	res, err := d.Enqueue(t.Context(), q.Client, struct{}{})
	require.NoError(t, err)
	q.Advance(24 * time.Hour)
	require.Equal(t, tasks.StateFailure, state(t, res))
	return runs
}

// waits are the times between the attempts of a task that always fails.
func waits(t *testing.T, d *tasks.Definition[struct{}, int]) []time.Duration {
	var at []time.Time
	var q *taskstest.Queue
	q = taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) {
		tasks.Handle(m, d, func(context.Context, struct{}) (int, error) {
			at = append(at, q.Clock.Now())
			return 0, errBroken
		})
	}})
	_, err := d.Enqueue(t.Context(), q.Client, struct{}{})
	require.NoError(t, err)
	q.Advance(48 * time.Hour)
	var list []time.Duration
	for i := 1; i < len(at); i++ {
		list = append(list, at[i].Sub(at[i-1]))
	}
	return list
}
