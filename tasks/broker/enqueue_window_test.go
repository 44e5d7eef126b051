package broker_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

func TestThrottleOutlivesItsTask(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		throttled := func(id, key string, d time.Duration) broker.Receipt {
			m := brokertest.Message("q", id)
			m.Throttle, m.Key = d, []byte(key)
			return b.Enqueue(t.Context(), m)[0]
		}
		require.Equal(t, broker.Made, throttled("a1", "a", time.Hour).Outcome)
		again := throttled("a2", "a", time.Hour)
		require.Equal(t, broker.Held, again.Outcome)
		require.Equal(t, "a1", again.Owner)
		w := brokertest.NewWorker(t, b, 0, map[string]int{"q": 1})
		w.MustNext()
		require.NoError(t, w.Done(t.Context(), "q", "a1"))
		require.Equal(t, broker.Held, throttled("a3", "a", time.Hour).Outcome, "its task has ended")
		require.Equal(t, broker.Made, throttled("b1", "b", 200*time.Millisecond).Outcome, "another key")
		require.Eventually(t, func() bool { return throttled("b2", "b", time.Hour).Outcome == broker.Made }, brokertest.Patience, 20*time.Millisecond)
	})
}

// TestThrottleByArguments without a key.
func TestThrottleByArguments(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	first, same, other := brokertest.Message("q", "1"), brokertest.Message("q", "2"), brokertest.Message("q", "3")
	same.Payload = first.Payload
	for _, m := range []*broker.Message{first, same, other} {
		m.Throttle = time.Hour
	}
	var got []broker.Outcome
	for _, r := range b.Enqueue(t.Context(), first, same, other) {
		got = append(got, r.Outcome)
	}
	require.Equal(t, []broker.Outcome{broker.Made, broker.Held, broker.Made}, got)
}

// TestLastOfAWindowRuns with the first one's id, at the end that the first one opened.
func TestLastOfAWindowRuns(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		rdb := b.Redis()
		long := string(slices.Repeat([]byte("x"), 128)) // the longest id
		call := func(id, payload string, tags ...string) broker.Receipt {
			m := brokertest.Message("q", id)
			m.Payload, m.Debounce, m.Tags = []byte(payload), 2*time.Second, tags
			return b.Enqueue(t.Context(), m)[0]
		}
		begun := time.Now()
		require.Equal(t, broker.Made, call(long, `1`, "old").Outcome)
		due := rdb.ZScore(t.Context(), brokertest.Key("q", "scheduled"), long).Val()
		for _, payload := range []string{`2`, `3`} {
			r := call("other"+payload, payload, "new")
			require.Equal(t, broker.Replaced, r.Outcome)
			require.Equal(t, long, r.Owner)
		}
		require.Equal(t, due, rdb.ZScore(t.Context(), brokertest.Key("q", "scheduled"), long).Val(), "no call prolongs the window")
		require.EqualValues(t, 1, rdb.ZCard(t.Context(), brokertest.Key("q", "scheduled")).Val())
		require.Empty(t, rdb.SMembers(t.Context(), "paidui:{q}:tag:old").Val())
		require.Equal(t, []string{long}, rdb.SMembers(t.Context(), "paidui:{q}:tag:new").Val())

		ran := make(chan string, 4)
		queues := map[string]int{"q": 1}
		brokertest.Serve(t, fetch.New(b, brokertest.FetcherConfig(queues)), queues, brokertest.Note(ran))
		require.Equal(t, long, <-ran)
		require.GreaterOrEqual(t, time.Since(begun), 2*time.Second)
		record, err := b.Find(t.Context(), "q", long)
		require.NoError(t, err)
		if record != nil { // not acknowledged yet
			require.Equal(t, `3`, string(record.Payload))
		}
		require.Equal(t, broker.Made, call("next", `4`).Outcome, "a new window")
	})
}
