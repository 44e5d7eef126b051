package fetch_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// TestPauseHoldsForWhatWasFetchedBefore: what waits in a worker goes back to the head, in its order, and is no crash.
func TestPauseHoldsForWhatWasFetchedBefore(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		brokertest.Enqueue(t, b, brokertest.Numbered("q", 8)...)
		w := brokertest.NewWorker(t, b, 8, map[string]int{"q": 1, "open": 1})
		_, id := w.MustNext()
		require.Equal(t, []any{"0", 7}, []any{id, w.Ahead()})
		_, first, err := b.Pause(t.Context(), "q", "alice")
		require.NoError(t, err)
		require.True(t, first)
		w.Age(time.Hour)
		brokertest.Enqueue(t, b, brokertest.Message("open", "open"))
		queue, id := w.MustNext()
		require.Equal(t, []string{"open", "open"}, []string{queue, id})
		require.Equal(t, []string{"1", "2", "3", "4", "5", "6", "7"}, brokertest.PendingIDs(t, b.Redis(), "q"))
		require.EqualValues(t, 1, b.Redis().LLen(t.Context(), brokertest.Key("q", "active")).Val(), "what runs goes on")

		_, err = b.Resume(t.Context(), "q")
		require.NoError(t, err)
		for i := 1; i < 8; i++ {
			queue, id := w.MustNext()
			require.Equal(t, []string{"q", strconv.Itoa(i)}, []string{queue, id})
			require.Zero(t, w.Delivery(queue, id).Crashes())
		}
		w.Age(time.Hour)
		require.NoError(t, w.Done(t.Context(), "q", "0"))
		require.NoError(t, w.Done(t.Context(), "q", "1"))
		brokertest.Enqueue(t, b, brokertest.Message("q", "a"), brokertest.Message("q", "b"))
		w.MustNext()
		w.Age(time.Hour)
		_, id = w.MustNext()
		require.Equal(t, "b", id, "what has waited long runs where the queue is not paused")
	})
}

// TestPausedQueuesKeepWhatBecomesDue: it waits for the end of the pause.
func TestPausedQueuesKeepWhatBecomesDue(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		ran := make(chan string, 10)
		queues := map[string]int{"q": 1, "open": 1}
		soon := brokertest.Message("q", "soon")
		soon.At = time.Now().Add(time.Second)
		brokertest.Enqueue(t, b, soon)
		_, _, err := b.Pause(t.Context(), "q", "alice")
		require.NoError(t, err)
		brokertest.Serve(t, fetch.New(b, brokertest.FetcherConfig(queues)), queues, brokertest.Note(ran))
		require.Eventually(t, func() bool {
			s, err := b.QueueStats(t.Context(), []string{"q"})
			return err == nil && s[0].Normal == 1 && s[0].Scheduled == 0
		}, brokertest.Patience, time.Millisecond)
		brokertest.Enqueue(t, b, brokertest.Message("open", "open"))
		require.Equal(t, "open", <-ran)
		was, err := b.Resume(t.Context(), "q")
		require.NoError(t, err)
		require.True(t, was)
		require.Equal(t, "soon", <-ran)
	})
}
