package outbox_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// patience bounds waits that a healthy system ends much earlier.
const patience = 30 * time.Second

type numberArgs struct {
	N int `json:"n"`
}

// double is the task of these tests; its result is twice its argument.
var double = tasks.Define[numberArgs, int]("outbox.double", tasks.Queue("numbers"), tasks.Backoff(time.Millisecond, 10*time.Millisecond))

// site is a database with a table of the caller's, a Redis, and what an outbox needs.
type site struct {
	db     *gorm.DB
	broker *broker.Broker
	client *tasks.Client
}

func openDB(t testing.TB, url string) *gorm.DB {
	t.Helper()
	db, err := models.Open(t.Context(), url, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, shop.Migrate(t.Context(), db))
	return db
}

func openSite(t testing.TB, db string, b *broker.Broker) site {
	t.Helper()
	return site{db: openDB(t, db), broker: b, client: tasks.NewClient(b)}
}

// outbox makes an outbox that does not run.
func (s site) outbox(t testing.TB) *outbox.Outbox {
	t.Helper()
	return s.outboxWith(t, outbox.Options{Logger: testenv.Quiet()})
}

func (s site) outboxWith(t testing.TB, opt outbox.Options) *outbox.Outbox {
	t.Helper()
	ob, err := outbox.New(s.db, s.client, opt)
	require.NoError(t, err)
	require.NoError(t, s.db.Use(ob))
	ob.Hurry()
	return ob
}

// run runs an outbox until the test ends; stop ends it earlier, and twice is safe.
func run(t testing.TB, ob *outbox.Outbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- ob.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(patience):
			t.Error("the outbox does not stop")
		}
	})
	t.Cleanup(stop)
	return stop
}

// eachStore runs a test on MariaDB with a real Redis and on SQLite with the embedded one.
func eachStore(t *testing.T, test func(t *testing.T, s site)) {
	t.Helper()
	t.Parallel()
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		test(t, openSite(t, testenv.MySQL(t), taskstest.Broker(t, testenv.RedisURL(t))))
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, openSite(t, "sqlite://"+filepath.Join(t.TempDir(), "shop.db"), taskstest.Embedded(t)))
	})
}

// enqueue makes a task in a transaction of its own, beside a row of the caller's.
func (s site) enqueue(t testing.TB, n int, opts ...tasks.Option) *tasks.Result[int] {
	t.Helper()
	var res *tasks.Result[int]
	require.NoError(t, s.db.Transaction(func(tx *gorm.DB) (err error) {
		if err := tx.Create(&shop.Banner{Title: "beside"}).Error; err != nil {
			return err
		}
		res, err = double.EnqueueTx(t.Context(), outbox.Tx(tx), numberArgs{n}, opts...)
		return err
	}))
	return res
}

// runs counts how often each number was doubled.
type runs struct {
	mu    sync.Mutex
	times map[int]int
}

func (r *runs) of(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.times[n]
}

func (r *runs) numbers() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.times)
}

// serve runs the tasks until the test ends.
func (s site) serve(t testing.TB) *runs {
	t.Helper()
	r := &runs{times: make(map[int]int)}
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: s.client, StoreAway: models.IsAway})
	tasks.Handle(mux, double, func(_ context.Context, a numberArgs) (int, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.times[a.N]++
		if a.N < 0 {
			return 0, tasks.Permanent(errors.New("below zero"))
		}
		return 2 * a.N, nil
	})
	taskstest.Serve(t, s.broker, mux, "numbers")
	return r
}

// rows are those of the outbox, oldest first.
func (s site) rows(t testing.TB) []models.OutboxRow {
	t.Helper()
	var rows []models.OutboxRow
	require.NoError(t, s.db.Order("id").Find(&rows).Error)
	return rows
}

func (s site) banners(t testing.TB) int {
	t.Helper()
	var n int64
	require.NoError(t, s.db.Model(&shop.Banner{}).Count(&n).Error)
	return int(n)
}
