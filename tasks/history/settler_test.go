package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	w.Store = &Store{tasks: tasks.NewClient(nil), db: db, table: table, now: func() time.Time { return w.clock }, infos: w.infos, logger: testenv.Quiet(),
		looks: make(chan struct{}, bundleLooks)}
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

// settleDue settles what is due at the world's time.
func (w *world) settleDue(t require.TestingT) {
	for _, old := range []bool{false, true} {
		for more := true; more; {
			var err error
			more, err = w.settler.one(context.Background(), old)
			require.NoError(t, err)
		}
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

func TestBundlesGoWhenTheirTasksHaveEnded(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		all := waitingTasks(300, epoch)
		bundled(t, w.Store, epoch.Add(firstLook), all...)
		last := epoch.Add(300 * time.Millisecond)

		w.settleDue(t)
		require.Equal(t, epoch.Add(firstLook), bundles(t, db)[0].LookAt.UTC(), "it is not due yet")
		w.clock = last.Add(3 * time.Second)
		w.settleDue(t)
		b := bundles(t, db)[0]
		require.Equal(t, 300, b.Tasks)
		require.WithinDuration(t, w.clock.Add(3*time.Second), b.LookAt, 100*time.Millisecond, "nothing has ended, so it is put off")

		insert(t, w.Store, endedAll(all[:100])...)
		w.clock = last.Add(6 * time.Second)
		w.settleDue(t)
		b = bundles(t, db)[0]
		require.Equal(t, 300, b.Tasks, "most wait still: it stays as it is")
		require.Zero(t, w.settled(asRow))
		insert(t, w.Store, endedAll(all[100:200])...)
		w.clock = last.Add(12 * time.Second)
		w.settleDue(t)
		b = bundles(t, db)[0]
		require.Equal(t, 100, b.Tasks)
		require.Equal(t, all[200].EnqueuedAt, b.FirstAt.UTC())
		left, err := unpack(&b)
		require.NoError(t, err)
		require.Equal(t, all[200].ID, left[0].id)
		insert(t, w.Store, endedAll(all[200:])...)
		w.clock = last.Add(50 * time.Second)
		w.settleDue(t)
		require.Empty(t, bundles(t, db))
		got := stored(t, db)
		require.Len(t, got, 300)
		for _, r := range got {
			require.Equal(t, "SUCCESS", r.State)
		}
	})
}

// TestOldBundlesAreComparedWithRedis has tasks whose ends nobody told.
func TestOldBundlesAreComparedWithRedis(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		all := waitingTasks(100, epoch)
		bundled(t, w.Store, epoch, all...)
		for i, r := range all {
			at := r.EnqueuedAt
			w.redis[r.ID] = &tasks.Info{ID: r.ID, Task: r.Task, Queue: r.Queue, State: tasks.StatePending, EnqueuedAt: &at}
			switch i {
			case 0:
				delete(w.redis, r.ID)
			case 1:
				w.redis[r.ID].State = tasks.StateStarted
			case 2:
				w.redis[r.ID].State, w.redis[r.ID].History = tasks.StateSuccess, tasks.HistoryFull
				w.redis[r.ID].Args, w.redis[r.ID].Result = json.RawMessage(r.Args), json.RawMessage("7")
			case 3: // the outbox will send it
				delete(w.redis, r.ID)
				require.NoError(t, db.Create(&models.OutboxRow{TaskID: r.ID, Task: r.Task, Body: "{}", CreatedAt: at}).Error)
			}
		}
		w.clock = epoch.Add(2 * settledAfter)
		w.away = true
		_, err := w.settler.one(t.Context(), false)
		require.ErrorIs(t, err, tasks.ErrBroker)
		require.Empty(t, stored(t, db))
		w.away = false
		w.clock = w.clock.Add(lease)
		w.settleDue(t)

		got := stored(t, db)
		require.Len(t, got, 3)
		require.Equal(t, "LOST", got[all[0].ID].State)
		require.Equal(t, []string{"LOST", string(all[0].Args), "request"}, []string{got[all[0].ID].State, got[all[0].ID].Args, got[all[0].ID].RequestID})
		require.Equal(t, "STARTED", got[all[1].ID].State)
		require.Equal(t, []string{"SUCCESS", "7"}, []string{got[all[2].ID].State, got[all[2].ID].Result})
		require.Equal(t, []int{1, 2, 0, 0}, []int{w.settled(asLost), w.settled(asChanged), w.settled(asRow), w.settled(asEnded)})
		b := bundles(t, db)[0]
		require.True(t, b.Old)
		require.WithinDuration(t, w.clock.Add(3*settledAfter), b.LookAt, time.Second)
		require.Len(t, pages(t, w.Store, Query{State: tasks.StatePending, Limit: MaxLimit}), 97)
	})
}

func TestAFewThatWaitLongBecomeRows(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		all := waitingTasks(100, epoch)
		bundled(t, w.Store, epoch, all...)
		for _, r := range all {
			at := r.EnqueuedAt
			w.redis[r.ID] = &tasks.Info{ID: r.ID, Task: r.Task, Queue: r.Queue, State: tasks.StatePending, EnqueuedAt: &at}
		}
		insert(t, w.Store, endedAll(all[fewLeft:])...)
		w.clock = epoch.Add(time.Hour)
		w.settleDue(t)
		require.Empty(t, bundles(t, db))
		require.Equal(t, []int{fewLeft, 100 - fewLeft}, []int{w.settled(asRow), w.settled(asEnded)})
		require.Len(t, pages(t, w.Store, Query{State: tasks.StatePending, Limit: MaxLimit}), fewLeft)
		require.Len(t, stored(t, db), 100)
	})
}

// TestWhatOnlyTheEnqueuerKnowsIsKept has a task revoked by somebody who does not know its arguments.
func TestWhatOnlyTheEnqueuerKnowsIsKept(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		all := waitingTasks(leastBundle, epoch)
		bundled(t, w.Store, epoch, all...)
		for i := range all {
			r := &all[i]
			r.State, r.Args, r.RequestID, r.Error, r.EndedAt = tasks.StateRevoked, nil, "", "a change of mind", epoch.Add(time.Second)
		}
		insert(t, w.Store, all...)
		w.clock = epoch.Add(10 * time.Second)
		w.settleDue(t)
		require.Empty(t, bundles(t, db))
		for id, r := range stored(t, db) {
			require.Equal(t, []string{"REVOKED", `{"n":1,"m":2}`, "request", "a change of mind"}, []string{r.State, r.Args, r.RequestID, r.Error}, id)
		}
	})
}

// TestKnownAmongOthers has records of other tasks between those of a bundle, few and many.
func TestKnownAmongOthers(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		for _, others := range []int{0, 1, 5} {
			mine := waitingTasks(100, epoch.Add(time.Duration(others)*time.Hour))
			var there []tasks.Record
			for i, r := range mine {
				if i%3 > 0 {
					there = append(there, ended(r))
				}
				for range others {
					there = append(there, ended(waiting("default", r.EnqueuedAt)))
				}
			}
			insert(t, w.Store, there...)
			known, err := w.knownAmong(t.Context(), rowsFrom(t, append(mine, waitingTasks(3, epoch)...)...))
			require.NoError(t, err)
			for i, r := range mine {
				_, found := known[r.ID]
				require.Equal(t, i%3 > 0, found)
			}
		}
	})
}

// TestALeaseEnds has a process die, or stop for long, while it has a bundle.
func TestALeaseEnds(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		bundled(t, w.Store, epoch, waitingTasks(100, epoch)...)
		w.clock = epoch.Add(10 * time.Second)
		list, err := w.dueBundles(t.Context(), false, skimmed)
		require.NoError(t, err)
		b, err := w.claim(t.Context(), list[0])
		require.NoError(t, err)
		again, err := w.claim(t.Context(), list[0])
		require.NoError(t, err)
		require.Nil(t, again)
		list, err = w.dueBundles(t.Context(), false, skimmed)
		require.NoError(t, err)
		require.Empty(t, list)

		w.clock = w.clock.Add(lease)
		w.settleDue(t)
		require.Len(t, stored(t, db), 100, "Redis knows none of them")
		require.Empty(t, bundles(t, db))
		_, err = w.settleBundle(t.Context(), b)
		require.ErrorIs(t, err, errTaken)
	})
}

func TestABundleThatCannotBeReadIsPutOff(t *testing.T) {
	t.Parallel()
	db := migrated(t, "sqlite://:memory:")
	w := newWorld(t, db)
	logger, logged := logTo()
	w.settler.logger = logger
	bundled(t, w.Store, epoch, waitingTasks(100, epoch)...)
	require.NoError(t, db.Exec("UPDATE task_bundles SET records = ?", []byte("\x63secret")).Error)
	w.clock = epoch.Add(2 * settledAfter)
	w.settleDue(t)
	require.Contains(t, logged(), "another version of the program")
	require.NotContains(t, logged(), "secret")
	require.WithinDuration(t, w.clock.Add(time.Hour), bundles(t, db)[0].LookAt, time.Second)
	require.Empty(t, pages(t, w.Store, Query{}), "a search goes on without it")
	_, err := w.Prune(t.Context(), defaultAge, nil)
	require.NoError(t, err)
	require.Len(t, bundles(t, db), 1)
}

// TestRoundsGoRound has more records that have not ended than one round compares.
func TestRoundsGoRound(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		const n = roundRows + roundRows/2
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
		round := func() {
			_, err := w.settler.round(t.Context())
			require.NoError(t, err)
		}
		round()
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
		round()
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
	require.NoError(t, w.alone(t.Context(), func() error {
		count()
		return newWorld(t, db).alone(t.Context(), count)
	}))
	require.Equal(t, 1, ran)
	require.NoError(t, w.alone(t.Context(), count))
	require.Equal(t, 2, ran)
	require.ErrorContains(t, w.alone(t.Context(), func() error { return errors.New("broken") }), "broken")
	require.NoError(t, w.alone(t.Context(), count))
	require.Equal(t, 3, ran)
}

// TestSettlersShareTheWork runs several at once beside writers, as workers do, and stops them in between.
func TestSettlersShareTheWork(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		n := 6000
		if db.Name() == "sqlite" {
			n = 1000
		}
		s := store(t, db)
		s.now = func() time.Time { return time.Now().Add(2 * firstLook) } // it need not wait
		start := func() (stop func()) {
			settler, err := NewSettler(s, SettlerOptions{Logger: testenv.Quiet()})
			require.NoError(t, err)
			settler.pace.idle, settler.pace.young = 5*time.Millisecond, 0
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
		w := writer(t, db, Options{})
		var all []tasks.Record
		for range n {
			r := waiting("default", time.Now())
			r.EnqueuedAt = r.EnqueuedAt.Truncate(time.Millisecond)
			all = append(all, r)
			w.Record(r)
		}
		require.NoError(t, w.Close(t.Context()))
		stops[0]()
		w = writer(t, db, Options{})
		for _, r := range all {
			w.Record(ended(r))
		}
		require.NoError(t, w.Close(t.Context()))
		require.Eventually(t, func() bool { return count(t, db, &models.TaskBundle{}) == 0 }, patience, 10*time.Millisecond)
		for _, stop := range stops[1:] {
			stop()
		}
		got := stored(t, db)
		require.Len(t, got, n)
		for id, r := range got {
			require.Equal(t, "SUCCESS", r.State, id)
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
		bundled(t, w.Store, epoch.Add(2*time.Second), waitingTasks(100, epoch)...)
		bundled(t, w.Store, epoch.Add(time.Second), waitingTasks(50, epoch)...)
		require.Equal(t, map[string]float64{"paidui_history_waiting": 150, "paidui_history_settle_lag_seconds": 0}, gauges())
		w.clock = epoch.Add(5 * time.Second)
		require.Equal(t, map[string]float64{"paidui_history_waiting": 150, "paidui_history_settle_lag_seconds": 4}, gauges())
		require.NoError(t, db.Exec("DROP TABLE task_bundles").Error)
		require.Empty(t, gauges())
		require.Contains(t, logged(), "history metrics are missing")
	})
}
