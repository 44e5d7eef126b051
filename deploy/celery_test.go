package deploy_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/scheduler/beat"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/demo"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/taskstest"
)

// fromCelery runs what the README tells those who come from Celery, by the first column of its table.
var fromCelery = map[string]func(*testing.T){
	"delay": func(t *testing.T) {
		q := adding(t)
		res, err := demo.Add.Enqueue(t.Context(), q.Client, demo.AddArgs{N: 10, M: 20})
		require.NoError(t, err)
		sum, err := res.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, 30, sum)
	},
	"apply_async(countdown)": func(t *testing.T) {
		startsLater(t, func(time.Time) tasks.Option { return tasks.Countdown(10 * time.Second) })
	},
	"apply_async(eta)": func(t *testing.T) {
		startsLater(t, func(now time.Time) tasks.Option { return tasks.ETA(now.Add(10 * time.Second)) })
	},
	"apply_async(expires)": func(t *testing.T) {
		b := taskstest.Embedded(t)
		c := tasks.NewClient(b)
		end := time.Now().Add(50 * time.Millisecond)
		res, err := demo.Add.Enqueue(t.Context(), c, demo.AddArgs{}, tasks.Expires(end))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return time.Now().After(end) }, time.Minute, time.Millisecond)
		m := tasks.NewMux(tasks.MuxOptions{Logger: taskstest.Quiet()})
		demo.Bind(m)
		intime, err := demo.Add.Enqueue(t.Context(), c, demo.AddArgs{}, tasks.ExpiresIn(time.Hour))
		require.NoError(t, err)
		taskstest.Serve(t, b, m, "default")
		_, err = res.Get(t.Context())
		require.ErrorIs(t, err, tasks.ErrRevoked)
		_, err = intime.Get(t.Context())
		require.NoError(t, err)
	},
	"apply_async(priority)": func(t *testing.T) {
		b := taskstest.Embedded(t)
		c := tasks.NewClient(b)
		for i := range 20 {
			_, err := demo.Add.Enqueue(t.Context(), c, demo.AddArgs{N: i})
			require.NoError(t, err)
		}
		_, err := demo.Add.Enqueue(t.Context(), c, demo.AddArgs{N: 100}, tasks.Priority(tasks.High))
		require.NoError(t, err)
		first := make(chan int, 21)
		m := tasks.NewMux(tasks.MuxOptions{Logger: taskstest.Quiet()})
		var once sync.Mutex
		tasks.Handle(m, demo.Add, func(_ context.Context, a demo.AddArgs) (int, error) {
			once.Lock()
			defer once.Unlock()
			first <- a.N
			return 0, nil
		})
		taskstest.Serve(t, b, m, "default")
		var order []int
		for range 21 {
			order = append(order, <-first)
		}
		require.Less(t, slices.Index(order, 100), 10, "the first that are taken together have the high one")
	},
	"apply_async(queue)": func(t *testing.T) {
		q := adding(t)
		res, err := demo.Add.Enqueue(t.Context(), q.Client, demo.AddArgs{}, tasks.Queue("low"))
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(res.ID(), "low_"))
	},
	"apply_async(task_id)": func(t *testing.T) {
		q := adding(t)
		_, err := demo.Add.Enqueue(t.Context(), q.Client, demo.AddArgs{}, tasks.ID("order-17"))
		require.NoError(t, err)
		again, err := demo.Add.Enqueue(t.Context(), q.Client, demo.AddArgs{}, tasks.ID("order-17"))
		require.ErrorIs(t, err, tasks.ErrDuplicate)
		require.Equal(t, "order-17", again.ID())
	},
	"apply_async(link)": func(t *testing.T) {
		var seen int
		q := taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) {
			demo.Bind(m)
			tasks.Handle(m, after, func(ctx context.Context, _ struct{}) (int, error) {
				sum, err := tasks.ParentResult[int](ctx)
				seen = sum
				return 0, err
			})
		}})
		_, err := demo.Add.Enqueue(t.Context(), q.Client, demo.AddArgs{N: 1, M: 2}, tasks.OnSuccess(after.Signature(struct{}{}, tasks.ID("cb"))))
		require.NoError(t, err)
		require.Equal(t, tasks.StateSuccess, state(t, after.Result(q.Client, "cb")))
		require.Equal(t, 3, seen)
	},
	"apply_async(link_error)": func(t *testing.T) {
		var seen string
		q := taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) {
			tasks.Handle(m, failing, func(context.Context, struct{}) (int, error) { return 0, tasks.Permanent(errBroken) })
			tasks.Handle(m, after, func(ctx context.Context, _ struct{}) (int, error) {
				seen = tasks.Current(ctx).Parent.Error
				return 0, nil
			})
		}})
		_, err := failing.Enqueue(t.Context(), q.Client, struct{}{}, tasks.OnFailure(after.Signature(struct{}{}, tasks.ID("cb"))))
		require.NoError(t, err)
		require.Equal(t, tasks.StateSuccess, state(t, after.Result(q.Client, "cb")))
		require.Equal(t, errBroken.Error(), seen)
	},
	"apply_async(retry_policy)": func(t *testing.T) {
		e, err := broker.StartEmbedded(context.WithoutCancel(t.Context()))
		require.NoError(t, err)
		t.Cleanup(e.Close)
		client, _ := withOutbox(t, taskstest.Broker(t, e.URL(0)))
		e.Close() // Redis is away
		res, err := demo.Add.Enqueue(t.Context(), client, demo.AddArgs{N: 1}, tasks.Durable())
		require.NoError(t, err, "it waits in the database")
		require.NotEmpty(t, res.ID())
		_, err = demo.Add.Enqueue(t.Context(), client, demo.AddArgs{N: 1})
		require.ErrorIs(t, err, tasks.ErrBroker)
	},
	"signature": func(t *testing.T) {
		q := adding(t)
		s := demo.Add.Signature(demo.AddArgs{N: 1, M: 2}, tasks.Tags("report"))
		stored, err := s.MarshalJSON()
		require.NoError(t, err)
		var again tasks.Signature
		require.NoError(t, again.UnmarshalJSON(stored))
		id, err := again.Enqueue(t.Context(), q.Client)
		require.NoError(t, err)
		sum, err := demo.Add.Result(q.Client, id).Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, sum)
	},
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
		m := tasks.NewMux(tasks.MuxOptions{Logger: taskstest.Quiet()})
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
		m := tasks.NewMux(tasks.MuxOptions{Logger: taskstest.Quiet()})
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
	"autoretry_for": func(t *testing.T) {
		runs := attempts(t, tasks.Define[struct{}, int]("celery.autoretry", tasks.MaxRetries(2),
			tasks.RetryOnlyFor(tasks.ErrorIs(errBroken), tasks.ErrorAs[*fs.PathError]())), errBroken)
		require.Equal(t, 3, runs)
		runs = attempts(t, tasks.Define[struct{}, int]("celery.autoretry", tasks.MaxRetries(2),
			tasks.RetryOnlyFor(tasks.ErrorIs(errBroken))), errors.New("another"))
		require.Equal(t, 1, runs)
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
		m := tasks.NewMux(tasks.MuxOptions{Logger: taskstest.Quiet()})
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
	"task_routes": func(t *testing.T) {
		routes, err := tasks.ParseRoutes("demo.*=low")
		require.NoError(t, err)
		q := taskstest.New(t, taskstest.Config{Routes: routes})
		res, err := demo.Add.Enqueue(t.Context(), q.Client, demo.AddArgs{})
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(res.ID(), "low_"))
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
	"delay_on_commit": func(t *testing.T) {
		client, db := withOutbox(t, taskstest.Embedded(t))
		var res *tasks.Result[int]
		require.NoError(t, db.Transaction(func(tx *gorm.DB) (err error) {
			res, err = demo.Add.EnqueueTx(t.Context(), tx, demo.AddArgs{N: 1, M: 2})
			return err
		}))
		require.Eventually(t, func() bool {
			info, err := client.Info(t.Context(), res.ID())
			return err == nil && info.State == tasks.StatePending
		}, time.Minute, 5*time.Millisecond)
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
			scheduler, err := beat.New(beat.Options{Path: file, Catalog: catalog, Client: client, Redis: b.Redis(), Logger: taskstest.Quiet()})
			require.NoError(t, err)
			schedulers.Go(func() { _ = scheduler.Run(ctx) })
		}
		m := tasks.NewMux(tasks.MuxOptions{Logger: taskstest.Quiet()})
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

var (
	after     = tasks.Define[struct{}, int]("celery.after")
	failing   = tasks.Define[struct{}, int]("celery.failing")
	errBroken = errors.New("it is broken")
)

// TestComingFromCelery runs every row of the README's table, and nothing else.
func TestComingFromCelery(t *testing.T) {
	source, err := os.ReadFile("celery_test.go")
	require.NoError(t, err)
	for _, readme := range []string{"../README.md", "../README.zh.md"} {
		rows := celeryTable(t, readme)
		require.ElementsMatch(t, slices.Collect(maps.Keys(fromCelery)), slices.Collect(maps.Keys(rows)), readme)
		for name, cell := range rows {
			for _, call := range regexp.MustCompile(`(?:tasks|taskstest)\.[A-Z]\w*|\.[A-Z]\w*\(`).FindAllString(cell, -1) {
				require.True(t, strings.Contains(string(source), call), "%s: no test has the %s of %s", readme, call, name)
			}
		}
	}
	for name, run := range fromCelery {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t)
		})
	}
}

// celeryTable is the table between its marks: the second column by the first.
func celeryTable(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "<!-- celery -->\n")
	require.True(t, found, file)
	table, _, _ := strings.Cut(rest, "<!-- /celery -->")
	rows := make(map[string]string)
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) == 2 && strings.HasPrefix(strings.TrimSpace(cells[0]), "`") {
			rows[strings.Trim(strings.TrimSpace(cells[0]), "`")] = cells[1]
		}
	}
	return rows
}

// adding runs the demo's sums inline.
func adding(t *testing.T) *taskstest.Queue {
	return taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) { demo.Bind(m) }})
}

func state[R any](t *testing.T, res *tasks.Result[R]) tasks.State {
	t.Helper()
	s, err := res.State(t.Context())
	require.NoError(t, err)
	return s
}

// startsLater holds that the option keeps a task back for ten seconds.
func startsLater(t *testing.T, later func(now time.Time) tasks.Option) {
	q := adding(t)
	res, err := demo.Add.Enqueue(t.Context(), q.Client, demo.AddArgs{N: 10, M: 20}, later(q.Clock.Now()))
	require.NoError(t, err)
	q.Advance(9 * time.Second)
	require.Equal(t, tasks.StatePending, state(t, res))
	q.Advance(time.Second)
	require.Equal(t, tasks.StateSuccess, state(t, res))
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

// withOutbox is a client whose database has a running outbox.
func withOutbox(t *testing.T, b *broker.Broker) (*tasks.Client, *gorm.DB) {
	t.Helper()
	db, err := models.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "paidui.db"), models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, models.Migrate(t.Context(), db))
	client := tasks.NewClient(b)
	ob, err := outbox.New(db, client, outbox.Options{Logger: taskstest.Quiet()})
	require.NoError(t, err)
	require.NoError(t, db.Use(ob))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = ob.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return client, db
}
