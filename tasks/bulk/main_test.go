package bulk

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

type args struct {
	N int `json:"n"`
}

var flaky = tasks.Define[args, int]("test.flaky")

// world is a store with everything around it.
type world struct {
	*Store
	db      *gorm.DB
	broker  *broker.Broker
	client  *tasks.Client
	outbox  *outbox.Outbox
	mux     *tasks.Mux
	mended  atomic.Bool // whether flaky succeeds
	runs    sync.Map    // by N
	records *history.Writer
}

// eachWorld runs the test on Redis with MariaDB, and on what is embedded.
func eachWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("servers", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, testenv.MySQL(t), testenv.RedisURL(t)))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		b := taskstest.Embedded(t)
		test(t, assemble(t, "sqlite://"+t.TempDir()+"/paidui.db", b, b))
	})
}

func newWorld(t *testing.T, databaseURL, brokerURL string) *world {
	b := taskstest.Broker(t, brokerURL)
	return assemble(t, databaseURL, b, b)
}

// assemble has the store go through a broker of its own.
func assemble(t testing.TB, databaseURL string, b, stores *broker.Broker) *world {
	t.Helper()
	db, err := models.Open(t.Context(), databaseURL, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = models.Close(db) })
	require.NoError(t, models.Migrate(t.Context(), db))
	w := &world{db: db, broker: b}
	w.records, err = history.NewWriter(db, history.Options{Logger: testenv.Quiet()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.records.Close(context.WithoutCancel(t.Context())) })
	w.client = tasks.NewClient(b, tasks.ClientOptions{History: w.records})
	w.outbox, err = outbox.New(db, w.client, outbox.Options{Logger: testenv.Quiet()})
	require.NoError(t, err)
	require.NoError(t, db.Use(w.outbox))
	client := w.client
	if stores != b {
		client = tasks.NewClient(stores, tasks.ClientOptions{History: w.records})
	}
	past, err := history.NewStore(db, client)
	require.NoError(t, err)
	w.Store = New(db, client, past, testenv.Quiet())
	w.mux = tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: w.client, History: w.records, StoreAway: models.IsAway})
	tasks.Handle(w.mux, flaky, func(_ context.Context, a args) (int, error) {
		n, _ := w.runs.LoadOrStore(a.N, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		if w.mended.Load() {
			return a.N, nil
		}
		return 0, tasks.Permanent(errFlaky(a.N))
	})
	Bind(w.mux, w.Store)
	return w
}

type errFlaky int

func (e errFlaky) Error() string { return "no luck with " + strings.Repeat("7", 1+int(e)%3) }

// work runs a worker until the test ends.
func (w *world) work(t *testing.T) {
	t.Helper()
	taskstest.Serve(t, w.broker, w.mux, "default", "low", "other")
}

// relay sends what is in the outbox until the test ends.
func (w *world) relay(t *testing.T) {
	t.Helper()
	taskstest.Run(t, w.outbox.Run)
}

// fail enqueues n tasks and waits until the history has their failures.
func (w *world) fail(t *testing.T, n int) (ids []string) {
	t.Helper()
	for i := range n {
		res, err := flaky.Enqueue(t.Context(), w.client, args{i}, tasks.Queue([]string{"default", "other"}[i%2]), tasks.Tags("batch"))
		require.NoError(t, err)
		ids = append(ids, res.ID())
	}
	w.await(t, ids, tasks.StateFailure)
	return ids
}

// await waits until the history has all tasks in the state.
func (w *world) await(t *testing.T, ids []string, state tasks.State) {
	t.Helper()
	require.Eventually(t, func() bool {
		var there int64
		require.NoError(t, w.db.Model(&models.TaskRecord{}).Where("task_id IN ? AND state = ?", ids, string(state)).Count(&there).Error)
		return there == int64(len(ids))
	}, testenv.Patience, 20*time.Millisecond)
}

// ran is how often each of the first n tasks was run; -1 where they differ.
func (w *world) ran(n int) int64 {
	times := int64(-2)
	for i := range n {
		var one int64
		if counter, ok := w.runs.Load(i); ok {
			one = counter.(*atomic.Int64).Load()
		}
		if times >= 0 && one != times {
			return -1
		}
		times = one
	}
	return times
}

func (w *world) start(t testing.TB, r Request) string {
	t.Helper()
	if r.By == "" {
		r.By = "alice"
	}
	id, err := w.Start(t.Context(), r)
	require.NoError(t, err)
	return id
}

// ended waits for the end of a run.
func (w *world) ended(t *testing.T, id string) (run *Run) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		run, err = w.Get(t.Context(), id)
		require.NoError(t, err)
		return run.State.Final()
	}, testenv.Patience, 20*time.Millisecond)
	return run
}
