package fetch_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// TestLostAnswersAreReclaimed: Redis hands tasks to a worker, and the answer is cut off. The worker does not wait for
// the end of their leases, and none runs twice.
func TestLostAnswersAreReclaimed(t *testing.T) {
	brokertest.InEachMode(t, func(t *testing.T, opt broker.Options) {
		server := testenv.Redis(t)
		proxy := testenv.NewProxy(t, server.Addr)
		b, direct := brokertest.OpenWith(t, proxy.URL(0), opt), brokertest.Open(t, server.URL(0))
		const tasks = 40
		list := brokertest.Numbered("q", tasks)
		for _, m := range list {
			m.Payload = []byte(strings.Repeat("x", 2000))
		}
		w := brokertest.NewWorker(t, b, 8, map[string]int{"q": 1, "empty": 1})
		brokertest.Enqueue(t, direct, list...)
		w.MustNext() // Redis knows the scripts now
		begun := time.Now()
		seen := map[string]bool{"0": true}
		require.NoError(t, w.Done(t.Context(), "q", "0"))
		for range tasks - 1 {
			if w.Ahead() == 0 {
				proxy.CutAfter(1000) // in the middle of the first task
			}
			_, id := w.MustNext()
			require.False(t, seen[id], "%s runs twice", id)
			seen[id] = true
			require.NoError(t, w.Done(t.Context(), "q", id))
		}
		require.Len(t, seen, tasks)
		require.Less(t, time.Since(begun), 25*time.Second, "a lease takes 30")
		require.Zero(t, w.Deliveries())
		require.Equal(t, strconv.Itoa(tasks), direct.Redis().Get(t.Context(), brokertest.Key("q", "processed")).Val())
		require.Zero(t, direct.Redis().Exists(t.Context(), brokertest.Key("q", "active"), brokertest.Key("q", "lease"), brokertest.Key("q", "pending")).Val())
	})
}

// TestReclaimLeavesOthersAlone: neither what runs, nor what waits here, nor what another worker has.
func TestReclaimLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.NewProxy(t, server.Addr)
	b, other := brokertest.Open(t, proxy.URL(0)), brokertest.Open(t, server.URL(0))
	queues := map[string]int{"q": 1}
	brokertest.Enqueue(t, other, brokertest.Numbered("q", 20)...)
	w, theirs := brokertest.NewWorker(t, b, 4, queues), brokertest.NewWorker(t, other, 5, queues)
	theirs.MustNext()
	w.MustNext()
	require.Equal(t, 3, w.Ahead())
	for i := range 11 {
		proxy.Cut()
		_, id := w.MustNext()
		if i < 3 {
			require.Equal(t, strconv.Itoa(6+i), id)
		}
	}
	require.Len(t, brokertest.PendingIDs(t, other.Redis(), "q"), 20-5-12)
	require.Equal(t, 12, w.Deliveries())
	for i := range 17 {
		own := w
		if i < 5 {
			own = theirs
			if i > 0 {
				theirs.MustNext()
			}
		}
		require.NoError(t, own.Done(t.Context(), "q", strconv.Itoa(i)))
	}
	require.Equal(t, "17", other.Redis().Get(t.Context(), brokertest.Key("q", "processed")).Val())
}
