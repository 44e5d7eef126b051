package broker_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// bounded is a message for queue q that so many pending tasks refuse.
func bounded(id string, most int) *broker.Message {
	m := brokertest.Message("q", id)
	m.MaxLength = most
	return m
}

func TestFullQueues(t *testing.T) { brokertest.OnSingle(t, fullQueues) }

func fullQueues(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	high, low, later := bounded("high", 4), bounded("low", 4), bounded("later", 4)
	high.Priority, low.Priority, later.At = broker.High, broker.Low, time.Now().Add(time.Hour)
	unique := bounded("unique", 4)
	unique.UniqueFor = time.Hour
	got := outcomes(b.Enqueue(t.Context(), later, bounded("1", 4), high, low, unique, bounded("2", 4), bounded("1", 4)))
	require.Equal(t, []string{"made", "made", "made", "made", "made", "full", "taken"}, got,
		"what waits for its time does not count, and what is there already is not refused")
	high, low, later = bounded("high-2", 4), bounded("low-2", 4), bounded("later-2", 4)
	high.Priority, low.Priority, later.At = broker.High, broker.Low, time.Now().Add(time.Hour)
	held := bounded("other", 4)
	held.Payload, held.UniqueFor = unique.Payload, time.Hour
	require.Equal(t, []string{"full", "full", "full", "held"}, outcomes(b.Enqueue(t.Context(), high, low, later, held)))
	require.Equal(t, []string{"made", "full", "made"}, outcomes(b.Enqueue(t.Context(), bounded("free", 0), bounded("3", 5), bounded("4", 6))))
	other := brokertest.Message("r", "5")
	other.MaxLength = 1
	require.Equal(t, broker.Made, b.Enqueue(t.Context(), other)[0].Outcome)

	gate := broker.Gate{Script: brokertest.Gate("return redis.call('INCR', KEYS[1]) > 0, 'in'"), Keys: []string{"{q}gate"}}
	require.Equal(t, broker.Receipt{Outcome: broker.Full}, b.EnqueueIf(t.Context(), gate, bounded("5", 6)))
	require.Zero(t, b.Redis().Exists(t.Context(), "{q}gate").Val(), "the gate of a full queue is not asked")
	require.Equal(t, broker.Receipt{Outcome: broker.Made, Reply: "in"}, b.EnqueueIf(t.Context(), gate, bounded("5", 7)))
	require.Equal(t, broker.Receipt{Outcome: broker.Taken, Reply: "in"}, b.EnqueueIf(t.Context(), gate, bounded("5", 7)), "it is in")
	require.Equal(t, broker.Full, b.EnqueueIf(t.Context(), gate, bounded("6", 7)).Outcome)
}

// TestAFullQueueIsNeverExceeded: many enqueue at once, and workers take.
func TestAFullQueueIsNeverExceeded(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		const most = 50
		w := brokertest.NewWorker(t, b, 1, map[string]int{"q": 1})
		var made, full atomic.Int64
		var producers sync.WaitGroup
		for p := range 8 {
			producers.Go(func() {
				for n := range 100 {
					switch b.Enqueue(t.Context(), bounded(fmt.Sprintf("%d-%d", p, n), most))[0].Outcome {
					case broker.Made:
						made.Add(1)
					case broker.Full:
						full.Add(1)
					}
				}
			})
		}
		taken := 0
		for range 30 {
			_, id := w.MustNext()
			require.NoError(t, w.Done(t.Context(), "q", id))
			taken++
			require.LessOrEqual(t, b.Redis().LLen(t.Context(), brokertest.Key("q", "pending")).Val(), int64(most+1)) // it may put one back
		}
		producers.Wait()
		require.EqualValues(t, 800, made.Load()+full.Load())
		require.LessOrEqual(t, made.Load(), int64(most+taken+2)) // and what is fetched ahead
	})
}
