package history

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

type addArgs struct {
	N int `json:"n"`
	M int `json:"m"`
}

var (
	add     = tasks.Define[addArgs, int]("test.add")
	private = tasks.Define[addArgs, int]("test.private", tasks.History(tasks.HistoryMeta))
)

// stale is a store that finds every record older than a minute.
func stale(t *testing.T, db *gorm.DB, client *tasks.Client) *Store {
	t.Helper()
	s, err := NewStore(db, client)
	require.NoError(t, err)
	s.now = func() time.Time { return time.Now().Add(2 * settledAfter) }
	return s
}

// pending is the record of the enqueuer of a task that Redis has.
func pending(t *testing.T, client *tasks.Client, id string) tasks.Record {
	t.Helper()
	info, err := client.Info(t.Context(), id)
	require.NoError(t, err)
	return tasks.Record{
		ID: id, Task: info.Task, Queue: info.Queue, State: tasks.StatePending, Run: 1, Args: info.Args, EnqueuedAt: *info.EnqueuedAt,
	}
}

// TestARecordNeverHangs has records of tasks whose workers never told how they ended.
func TestARecordNeverHangs(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		b := taskstest.Embedded(t)
		client := tasks.NewClient(b)
		s := stale(t, db, client)
		mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
		tasks.Handle(mux, add, func(_ context.Context, a addArgs) (int, error) {
			if a.N == 0 {
				return 0, tasks.Permanent(errors.New("nothing to add"))
			}
			return a.N + a.M, nil
		})
		tasks.Handle(mux, private, func(context.Context, addArgs) (int, error) { return 7, nil })
		taskstest.Serve(t, b, mux, "default")

		good, err := add.Enqueue(t.Context(), client, addArgs{N: 1, M: 2})
		require.NoError(t, err)
		bad, err := add.Enqueue(t.Context(), client, addArgs{})
		require.NoError(t, err)
		meta, err := private.Enqueue(t.Context(), client, addArgs{})
		require.NoError(t, err)
		later, err := add.Enqueue(t.Context(), client, addArgs{N: 9}, tasks.Countdown(time.Hour))
		require.NoError(t, err)
		for _, id := range []string{good.ID(), bad.ID(), meta.ID()} {
			_, err = client.Wait(t.Context(), id)
			require.NoError(t, err)
		}
		now := time.Now()
		outboxed, gone, fresh := succeeded("outboxed", 0), enqueued("gone", 0), enqueued("fresh", 0)
		outboxed.State = tasks.StatePending
		outboxed.EnqueuedAt, gone.EnqueuedAt, fresh.EnqueuedAt = now, now, now.Add(settledAfter+patience)
		secret := pending(t, client, meta.ID())
		secret.Args = nil
		insert(t, s, pending(t, client, good.ID()), pending(t, client, bad.ID()), secret, pending(t, client, later.ID()), outboxed, gone, fresh)
		require.NoError(t, db.Create(&models.OutboxRow{TaskID: "outboxed", Task: "demo.add", Body: "{}", CreatedAt: now}).Error)

		page, err := s.Search(t.Context(), Query{State: tasks.StatePending, Limit: 100})
		require.NoError(t, err)
		var still []string
		for _, info := range page.Tasks {
			still = append(still, info.ID)
		}
		require.ElementsMatch(t, []string{later.ID(), "outboxed", "fresh"}, still)

		got := stored(t, db)
		require.Equal(t, []string{"SUCCESS", "3"}, []string{got[good.ID()].State, got[good.ID()].Result})
		require.NotNil(t, got[good.ID()].FinishedAt)
		require.NotNil(t, got[good.ID()].StartedAt)
		require.Equal(t, []string{"FAILURE", "nothing to add"}, []string{got[bad.ID()].State, got[bad.ID()].Error})
		require.Equal(t, []string{"SUCCESS", "", ""}, []string{got[meta.ID()].State, got[meta.ID()].Result, got[meta.ID()].Args})
		require.Equal(t, "LOST", got["gone"].State)
		lost, err := s.Find(t.Context(), "gone")
		require.NoError(t, err)
		require.Equal(t, tasks.StateLost, lost.State)
		require.True(t, lost.State.Final())

		// Whoever knows how it ended is believed all the same.
		end := succeeded("gone", 0)
		end.EnqueuedAt = now
		insert(t, s, end)
		require.Equal(t, "SUCCESS", stored(t, db)["gone"].State)
	})
}

// TestAPurgerThatDiesIsInTheHistory: Redis has ended the tasks of its last batch, and nobody told the history.
func TestAPurgerThatDiesIsInTheHistory(t *testing.T) {
	t.Parallel()
	db := migrated(t, "sqlite://:memory:")
	b := taskstest.Embedded(t)
	client := tasks.NewClient(b)
	s := stale(t, db, client)
	res, err := add.Enqueue(t.Context(), client, addArgs{N: 1})
	require.NoError(t, err)
	insert(t, s, pending(t, client, res.ID()))
	died := errors.New("died")
	err = b.Purge(t.Context(), "default", "purged", map[string]bool{"pending": true}, func(string, int, []*broker.StoredTask) error { return died })
	require.ErrorIs(t, err, died)
	info, err := s.Find(t.Context(), res.ID())
	require.NoError(t, err)
	require.Equal(t, []any{tasks.StateRevoked, "purged"}, []any{info.State, info.Error})
	require.Equal(t, []any{"REVOKED", "purged"}, []any{stored(t, db)[res.ID()].State, stored(t, db)[res.ID()].Error})
}

// TestFindSettles is the way of a client that asks for one task.
func TestFindSettles(t *testing.T) {
	t.Parallel()
	db := migrated(t, "sqlite://:memory:")
	s := stale(t, db, tasks.NewClient(taskstest.Embedded(t)))
	insert(t, s, enqueued("gone", 0))
	info, err := s.Find(t.Context(), "gone")
	require.NoError(t, err)
	require.Equal(t, tasks.StateLost, info.State)
	require.Equal(t, "LOST", stored(t, db)["gone"].State)
}

func TestRecordsOfAnIDThatAnotherTaskHasNowAreLost(t *testing.T) {
	t.Parallel()
	db := migrated(t, "sqlite://:memory:")
	client := tasks.NewClient(taskstest.Embedded(t))
	s := stale(t, db, client)
	insert(t, s, enqueued("daily", 0))
	_, err := add.Enqueue(t.Context(), client, addArgs{}, tasks.ID("daily"))
	require.NoError(t, err)
	info, err := s.Find(t.Context(), "daily")
	require.NoError(t, err)
	require.Equal(t, tasks.StateLost, info.State)
}

func TestWithoutRedisRecordsAreShownAsTheyAre(t *testing.T) {
	t.Parallel()
	db := migrated(t, "sqlite://:memory:")
	server := testenv.Redis(t)
	s := stale(t, db, tasks.NewClient(taskstest.Broker(t, server.URL(0))))
	insert(t, s, enqueued("one", 0))
	server.Kill()
	page, err := s.Search(t.Context(), Query{})
	require.NoError(t, err)
	require.Equal(t, tasks.StatePending, page.Tasks[0].State)
	require.Equal(t, "PENDING", stored(t, db)["one"].State)
	_, err = s.Prune(t.Context(), defaultAge, nil)
	require.ErrorIs(t, err, tasks.ErrBroker, "whether a task is lost can't be told")
}

// TestFollowKeepsPersonalThingsOut: the error of a private task that Redis tells has its arguments in it.
func TestFollowKeepsPersonalThingsOut(t *testing.T) {
	t.Parallel()
	info := &tasks.Info{State: tasks.StateFailure, Args: []byte(`{"mobile":"13800138000"}`), Error: "13800138000: no answer"}
	for mode, want := range map[tasks.HistoryMode][]string{
		tasks.HistoryMeta: {"***: no answer", ""},
		tasks.HistoryFull: {"13800138000: no answer", `{"mobile":"13800138000"}`},
	} {
		info.History = mode
		var r models.TaskRecord
		(&Store{tasks: tasks.NewClient(nil)}).applyInfo(&r, info)
		require.Equal(t, want, []string{r.Error, string(r.Args)})
	}
}
