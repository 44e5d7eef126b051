package outbox_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// told takes what the history is told.
type told chan tasks.Record

func (c told) Record(r tasks.Record) { c <- r }

// The history is told of a task when Redis has it, as of any other that is enqueued.
func TestTheHistoryIsToldOfWhatIsSent(t *testing.T) {
	t.Parallel()
	s := openSite(t, "sqlite://"+filepath.Join(t.TempDir(), "shop.db"), taskstest.Embedded(t))
	plain, sent := make(told, 1), make(told, 10)
	opts := []tasks.Option{tasks.Tags("a", "b"), tasks.MaxRetries(7)}
	_, err := double.Enqueue(t.Context(), tasks.NewClient(s.broker, tasks.ClientOptions{History: plain}), numberArgs{1}, opts...)
	require.NoError(t, err)
	want := <-plain

	s.client = tasks.NewClient(s.broker, tasks.ClientOptions{History: sent})
	ob := s.outbox(t)
	s.enqueue(t, 2, tasks.History(tasks.HistoryOff))
	res := s.enqueue(t, 1, opts...)
	require.Empty(t, sent, "they are not sent yet")
	run(t, ob)
	got := <-sent
	require.Equal(t, res.ID(), got.ID)
	require.WithinDuration(t, want.EnqueuedAt, got.EnqueuedAt, time.Minute)
	got.ID, got.EnqueuedAt = want.ID, want.EnqueuedAt
	require.Equal(t, want, got)
}
