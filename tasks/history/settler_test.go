package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
)

// world is a Store whose clock and whose Redis the test has in hand.
type world struct {
	*Store
	settler *Settler
	clock   time.Time
	redis   map[string]*tasks.Info
	away    bool // Redis
}

func newWorld(t testing.TB, db *gorm.DB) *world {
	t.Helper()
	table, err := newTable(db)
	require.NoError(t, err)
	w := &world{clock: epoch, redis: map[string]*tasks.Info{}}
	w.Store = &Store{tasks: tasks.NewClient(nil), db: db, table: table, now: func() time.Time { return w.clock }, infos: w.infos, logger: testenv.Quiet()}
	w.settler, err = NewSettler(w.Store, SettlerOptions{Logger: testenv.Quiet(), Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	return w
}

func (w *world) infos(_ context.Context, refs []broker.Ref) ([]*tasks.Info, error) {
	if w.away {
		return nil, fmt.Errorf("it is away: %w", tasks.ErrBroker)
	}
	list := make([]*tasks.Info, len(refs))
	for i, ref := range refs {
		list[i] = w.redis[ref.ID]
	}
	return list, nil
}

// convertAll turns all bundles into rows.
func (w *world) convertAll(t require.TestingT) {
	for more := true; more; {
		var err error
		more, err = w.settler.convert(context.Background())
		require.NoError(t, err)
	}
}

func (w *world) settled(as string) int {
	return int(testutil.ToFloat64(w.settler.metrics.settled.WithLabelValues(as)))
}

func waitingTasks(n int, at time.Time) (list []tasks.Record) {
	for i := range n {
		list = append(list, waiting("default", at.Add(time.Duration(i)*time.Millisecond)))
	}
	return list
}

func endedAll(list []tasks.Record) []tasks.Record {
	list = slices.Clone(list)
	for i, r := range list {
		list[i] = ended(r)
	}
	return list
}

func bundles(t require.TestingT, db *gorm.DB) (list []models.TaskBundle) {
	require.NoError(t, db.Order("id").Find(&list).Error)
	return list
}

func TestBundlesBecomeRows(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		all := waitingTasks(300, epoch)
		bundled(t, w.Store, epoch.Add(time.Hour), all[:200]...)
		bundled(t, w.Store, epoch.Add(time.Hour), all[200:]...)
		insert(t, w.Store, endedAll(all[:100])...)
		w.convertAll(t)
		require.Empty(t, bundles(t, db))
		require.Equal(t, []int{100, 200, 0}, []int{w.settled(asEnded), w.settled(asRow), w.settled(asRefused)})
		got := stored(t, db)
		require.Len(t, got, 300)
		for i, r := range rowsFrom(t, append(endedAll(all[:100]), all[100:]...)...) {
			require.Equal(t, *r, rowFrom(got[r.id]), i)
		}
		w.convertAll(t)
		require.Equal(t, got, stored(t, db), "again is nothing")
	})
}

// TestBundlesOfEarlierBuildsAreRead: an earlier build writes bundles beside this one, of which searches and Find tell at once.
func TestBundlesOfEarlierBuildsAreRead(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		w.clock = epoch.Add(time.Minute)
		const each = 3
		var all []tasks.Record
		for i := range 2 * convertAtOnce {
			part := waitingTasks(each, epoch.Add(time.Duration(i)*time.Second))
			bundled(t, w.Store, epoch.Add(time.Hour), part...)
			all = append(all, part...)
		}
		info, err := w.Find(t.Context(), all[1].ID)
		require.NoError(t, err)
		require.Equal(t, tasks.StatePending, info.State)
		require.Equal(t, all[1].EnqueuedAt, *info.EnqueuedAt)
		require.Len(t, bundles(t, db), 2*convertAtOnce-1, "those of the time in the id")
		for _, id := range []string{newID("default", epoch.Add(time.Second)), newID("default", epoch.Add(-time.Hour)), "chosen"} {
			_, err := w.Find(t.Context(), id)
			require.ErrorIs(t, err, tasks.ErrNotFound)
		}
		slices.Reverse(all)
		var want []string
		for _, r := range all {
			want = append(want, r.ID)
		}
		page, err := w.Search(t.Context(), Query{Until: epoch.Add(10 * time.Second), Limit: 2 * each})
		require.NoError(t, err)
		require.Equal(t, want[30*each], page.Tasks[0].ID, "those before a time")
		page, err = w.Search(t.Context(), Query{Task: "no.such"})
		require.NoError(t, err)
		require.Empty(t, page.Tasks)
		require.Equal(t, want, pages(t, w.Store, Query{State: tasks.StatePending, Limit: 5}))
		require.Empty(t, bundles(t, db))
	})
}

// TestOldRecordsAreComparedWithRedis has tasks whose ends nobody told.
func TestOldRecordsAreComparedWithRedis(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		all := waitingTasks(100, epoch)
		bundled(t, w.Store, epoch, all[:50]...)
		insert(t, w.Store, all[50:]...)
		for i, r := range all {
			at := r.EnqueuedAt
			w.redis[r.ID] = &tasks.Info{ID: r.ID, Task: r.Task, Queue: r.Queue, State: tasks.StatePending, EnqueuedAt: &at}
			switch i {
			case 0:
				delete(w.redis, r.ID)
			case 1:
				w.redis[r.ID].State = tasks.StateStarted
			case 52:
				w.redis[r.ID].State, w.redis[r.ID].History = tasks.StateSuccess, tasks.HistoryFull
				w.redis[r.ID].Args, w.redis[r.ID].Result = json.RawMessage(r.Args), json.RawMessage("7")
			case 53: // the outbox will send it
				delete(w.redis, r.ID)
				require.NoError(t, db.Create(&models.OutboxRow{TaskID: r.ID, Task: r.Task, Body: "{}", CreatedAt: at}).Error)
			}
		}
		w.convertAll(t)
		w.clock = epoch.Add(2 * settledAfter)
		w.away = true
		_, err := w.settler.round(t.Context())
		require.ErrorIs(t, err, tasks.ErrBroker)
		for _, r := range stored(t, db) {
			require.Equal(t, "PENDING", r.State)
		}
		w.away = false
		_, err = w.settler.round(t.Context())
		require.NoError(t, err)

		got := stored(t, db)
		require.Len(t, got, 100)
		require.Equal(t, []string{"LOST", string(all[0].Args), "request"}, []string{got[all[0].ID].State, got[all[0].ID].Args, got[all[0].ID].RequestID})
		require.Equal(t, "STARTED", got[all[1].ID].State)
		require.Equal(t, []string{"SUCCESS", "7"}, []string{got[all[52].ID].State, got[all[52].ID].Result})
		require.Equal(t, []int{1, 2}, []int{w.settled(asLost), w.settled(asChanged)})
		require.Len(t, pages(t, w.Store, Query{State: tasks.StatePending, Limit: MaxLimit}), 97)
	})
}

// TestWhatOnlyTheEnqueuerKnowsIsKept has a task revoked by somebody who does not know its arguments.
func TestWhatOnlyTheEnqueuerKnowsIsKept(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		all := waitingTasks(60, epoch)
		bundled(t, w.Store, epoch, all...)
		for i := range all {
			r := &all[i]
			r.State, r.Args, r.RequestID, r.Error, r.EndedAt = tasks.StateRevoked, nil, "", "a change of mind", epoch.Add(time.Second)
		}
		insert(t, w.Store, all...)
		w.convertAll(t)
		require.Empty(t, bundles(t, db))
		for id, r := range stored(t, db) {
			require.Equal(t, []string{"REVOKED", `{"n":1,"m":2}`, "request", "a change of mind"}, []string{r.State, r.Args, r.RequestID, r.Error}, id)
		}
	})
}

// TestABundleThatAnotherProcessHasTakenIsLeftToIt: settlers of earlier builds move look_at when they take a bundle, and may
// then take tasks out of it.
func TestABundleThatAnotherProcessHasTakenIsLeftToIt(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		bundled(t, w.Store, epoch, waitingTasks(100, epoch)...)
		id := bundles(t, db)[0].ID
		for name, change := range map[string]string{
			"taken": "UPDATE paidui_task_bundles SET look_at = '2030-01-01 00:00:00'",
			"gone":  "DELETE FROM paidui_task_bundles",
		} {
			taken := false
			require.NoError(t, db.Callback().Query().After("gorm:query").Register("take", func(tx *gorm.DB) {
				if tx.Statement.Table == "paidui_task_bundles" && !taken {
					taken = true
					_, err := w.table.pool.Exec(change)
					require.NoError(t, err, name)
				}
			}))
			_, err := w.convertBundle(t.Context(), id)
			require.NoError(t, db.Callback().Query().Remove("take"))
			require.ErrorIs(t, err, errTaken, name)
			require.True(t, taken)
			require.Empty(t, stored(t, db), name)
		}
		_, err := w.convertBundle(t.Context(), id)
		require.ErrorIs(t, err, errTaken)
	})
}

func TestABundleThatCannotBeReadStays(t *testing.T) {
	t.Parallel()
	db := migrated(t, "sqlite://:memory:")
	w := newWorld(t, db)
	logger, logged := logTo()
	w.Store.logger = logger
	bundled(t, w.Store, epoch, waitingTasks(100, epoch)...)
	require.NoError(t, db.Exec("UPDATE paidui_task_bundles SET records = ?", []byte("\x63secret")).Error)
	bundled(t, w.Store, epoch, waitingTasks(100, epoch.Add(time.Second))...)
	w.convertAll(t)
	require.Contains(t, logged(), "another version of the program")
	require.NotContains(t, logged(), "secret")
	require.Len(t, stored(t, db), 100, "the others are converted")
	require.Len(t, pages(t, w.Store, Query{Limit: MaxLimit}), 100, "a search goes on without it")
	_, err := w.Prune(t.Context(), defaultAge, nil)
	require.NoError(t, err)
	require.Len(t, bundles(t, db), 1)
	require.Equal(t, 1, strings.Count(logged(), "are missing in the history"), logged())
}

// TestRoundsGoRound has more records that have not ended than one round compares.
func TestRoundsGoRound(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		const roundRows, n = 600, 900 // more than a batch
		w.settler.pace.rows = roundRows
		var all []tasks.Record
		for i := range n {
			r := enqueued(idOf(i), i/100)
			r.Task = []string{"a", "b", "c"}[i%3]
			if i%2 == 0 {
				r.State, r.Attempt, r.StartedAt = tasks.StateStarted, 1, r.EnqueuedAt
			}
			at := r.EnqueuedAt
			w.redis[r.ID] = &tasks.Info{ID: r.ID, Task: r.Task, Queue: r.Queue, State: r.State, EnqueuedAt: &at}
			all = append(all, r)
		}
		insert(t, w.Store, all...)
		young := enqueued("young", 0)
		young.EnqueuedAt = epoch.Add(time.Hour)
		insert(t, w.Store, young)
		w.clock = young.EnqueuedAt
		asked := map[string]int{}
		infos := w.Store.infos
		w.Store.infos = func(ctx context.Context, refs []broker.Ref) ([]*tasks.Info, error) {
			for _, ref := range refs {
				asked[ref.ID]++
			}
			return infos(ctx, refs)
		}
		round := func() (more bool) {
			more, err := w.settler.round(t.Context())
			require.NoError(t, err)
			return more
		}
		require.True(t, round())
		require.Len(t, asked, roundRows)
		round()
		require.Len(t, asked, n)
		for range 3 {
			round()
		}
		for id, times := range asked {
			require.GreaterOrEqual(t, times, 4*roundRows/n, id)
		}
		clear(w.redis)
		for range 2 {
			round()
		}
		lost := 0
		for _, r := range stored(t, db) {
			if r.State == string(tasks.StateLost) {
				lost++
			}
		}
		require.Equal(t, n, lost)
		require.Equal(t, n, w.settled(asLost))
		require.Equal(t, "PENDING", stored(t, db)["young"].State)
		require.False(t, round())
		require.Equal(t, rounds{}, w.settler.rounds)
		w.Store.infos = func(context.Context, []broker.Ref) ([]*tasks.Info, error) {
			return nil, errors.New("asked for nothing")
		}
		round()
	})
}

func TestOneRoundAtATime(t *testing.T) {
	t.Parallel()
	db := migrated(t, testenv.MySQL(t))
	w := newWorld(t, db)
	ran := 0
	count := func() error { ran++; return nil }
	require.NoError(t, w.exclusively(t.Context(), func() error {
		count()
		return newWorld(t, db).exclusively(t.Context(), count)
	}))
	require.Equal(t, 1, ran)
	require.NoError(t, w.exclusively(t.Context(), count))
	require.Equal(t, 2, ran)
	require.ErrorContains(t, w.exclusively(t.Context(), func() error { return errors.New("broken") }), "broken")
	require.NoError(t, w.exclusively(t.Context(), count))
	require.Equal(t, 3, ran)
}

// TestSettlersShareTheWork runs several at once beside writers of an earlier build and of this one, as workers do, and stops
// one in between.
func TestSettlersShareTheWork(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		n := 2000
		if db.Name() == "sqlite" {
			n = 600
		}
		s := store(t, db)
		s.now = func() time.Time { return epoch }
		start := func() (stop func()) {
			settler, err := NewSettler(s, SettlerOptions{Logger: testenv.Quiet()})
			require.NoError(t, err)
			settler.pace.idle, settler.pace.busy = 5*time.Millisecond, 0
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- settler.Run(ctx) }()
			return func() {
				cancel()
				require.NoError(t, <-done)
			}
		}
		var stops []func()
		for range 3 {
			stops = append(stops, start())
		}
		all := waitingTasks(n, epoch)
		for part := range slices.Chunk(all, 100) {
			bundled(t, s, epoch, part...)
		}
		stops[0]()
		w := writer(t, db, Options{})
		for _, r := range all[:n/2] {
			w.Record(ended(r))
		}
		require.NoError(t, w.Close(t.Context()))
		require.Eventually(t, func() bool { return count(t, db, &models.TaskBundle{}) == 0 }, patience, 10*time.Millisecond)
		for _, stop := range stops[1:] {
			stop()
		}
		got := stored(t, db)
		require.Len(t, got, n)
		for i, r := range rowsFrom(t, append(endedAll(all[:n/2]), all[n/2:]...)...) {
			require.Equal(t, *r, rowFrom(got[r.id]), i)
		}
	})
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		logger, logged := logTo()
		gauges := func() map[string]float64 {
			registry := prometheus.NewRegistry()
			require.NoError(t, registry.Register(NewBacklog(w.Store, logger)))
			families, err := registry.Gather()
			require.NoError(t, err)
			values := map[string]float64{}
			for _, f := range families {
				values[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
			}
			return values
		}
		require.Equal(t, map[string]float64{"paidui_history_waiting": 0, "paidui_history_settle_lag_seconds": 0}, gauges())
		all := waitingTasks(150, epoch)
		for i := range all {
			all[i].Task = []string{"a", "b"}[i%2]
		}
		insert(t, w.Store, all...)
		insert(t, w.Store, endedAll(waitingTasks(50, epoch))...)
		bundled(t, w.Store, epoch.Add(2*time.Second), waitingTasks(100, epoch)...)
		bundled(t, w.Store, epoch.Add(time.Second), waitingTasks(50, epoch)...)
		require.Equal(t, map[string]float64{"paidui_history_waiting": 150, "paidui_history_settle_lag_seconds": 0}, gauges())
		w.clock = epoch.Add(5 * time.Second)
		require.Equal(t, map[string]float64{"paidui_history_waiting": 150, "paidui_history_settle_lag_seconds": 4}, gauges())
		w.convertAll(t)
		require.Equal(t, map[string]float64{"paidui_history_waiting": 300, "paidui_history_settle_lag_seconds": 0}, gauges())
		require.NoError(t, db.Exec("DROP TABLE paidui_task_bundles").Error)
		require.Empty(t, gauges())
		require.Contains(t, logged(), "history metrics are missing")
	})
}
