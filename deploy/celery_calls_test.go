package deploy_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/demo"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/taskstest"
)

// celeryCalls are about calling tasks.
var celeryCalls = map[string]func(*testing.T){
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
		m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
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
		m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
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
		e, err := embedded.Start(context.WithoutCancel(t.Context()))
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
	"delay_on_commit": func(t *testing.T) {
		client, db := withOutbox(t, taskstest.Embedded(t))
		var res *tasks.Result[int]
		require.NoError(t, db.Transaction(func(tx *gorm.DB) (err error) {
			res, err = demo.Add.EnqueueTx(t.Context(), outbox.Tx(tx), demo.AddArgs{N: 1, M: 2})
			return err
		}))
		require.Eventually(t, func() bool {
			info, err := client.Info(t.Context(), res.ID())
			return err == nil && info.State == tasks.StatePending
		}, time.Minute, 5*time.Millisecond)
	},
	"task_routes": func(t *testing.T) {
		routes, err := tasks.ParseRoutes("demo.*=low")
		require.NoError(t, err)
		q := taskstest.New(t, taskstest.Config{Routes: routes})
		res, err := demo.Add.Enqueue(t.Context(), q.Client, demo.AddArgs{})
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(res.ID(), "low_"))
	},
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

// withOutbox is a client whose database has a running outbox.
func withOutbox(t *testing.T, b *broker.Broker) (*tasks.Client, *gorm.DB) {
	t.Helper()
	db, err := models.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "paidui.db"), models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, shop.Migrate(t.Context(), db))
	client := tasks.NewClient(b)
	ob, err := outbox.New(db, client, outbox.Options{Logger: testenv.Quiet()})
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
