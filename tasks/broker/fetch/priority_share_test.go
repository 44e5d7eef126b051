package fetch_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// TestHighOvertakesABacklog: of 100,000 normal tasks, hardly any begins before one of high priority.
func TestHighOvertakesABacklog(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	brokertest.Enqueue(t, b, brokertest.Numbered("q", 100_000)...)
	w := brokertest.NewWorker(t, b, 8, map[string]int{"q": 1})
	for i := range 20 {
		id := "high" + strconv.Itoa(i)
		brokertest.Enqueue(t, b, brokertest.WithPriority(brokertest.Message("q", id), broker.High))
		before := 0
		for {
			_, next := w.MustNext()
			require.NoError(t, w.Done(t.Context(), "q", next))
			if next == id {
				break
			}
			before++
		}
		require.LessOrEqual(t, before, 24, "what was fetched already, and the turns of normal ones")
	}
}

// TestLowerPrioritiesDoNotStarve under a steady stream of higher ones; and within a priority, order holds.
func TestLowerPrioritiesDoNotStarve(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		for name, slots := range map[string]int{"one": 1, "many": 8} {
			b := brokertest.Open(t, url)
			queue := "q" + name
			for i := range 400 {
				brokertest.Enqueue(t, b, brokertest.WithPriority(brokertest.Message(queue, "high"+strconv.Itoa(i)), broker.High))
			}
			for i := range 20 {
				brokertest.Enqueue(t, b, brokertest.Message(queue, "normal"+strconv.Itoa(i)), brokertest.WithPriority(brokertest.Message(queue, "low"+strconv.Itoa(i)), broker.Low))
			}
			w := brokertest.NewWorker(t, b, slots, map[string]int{queue: 1})
			w.SetTurnaround(time.Hour) // nothing is fetched ahead, so nothing is put back behind what follows
			w.SetPatience(time.Hour)   // also when the test is stalled
			got := map[string][]int{}
			for range 256 {
				_, id := w.MustNext()
				require.NoError(t, w.Done(t.Context(), queue, id))
				class := strings.TrimRight(id, "0123456789")
				n, err := strconv.Atoi(strings.TrimPrefix(id, class))
				require.NoError(t, err)
				got[class] = append(got[class], n)
			}
			require.InDelta(t, 16, len(got["normal"]), 4, name) // a low one may have its turn
			require.InDelta(t, 4, len(got["low"]), 2, name)
			for class, numbers := range got {
				require.IsIncreasing(t, numbers, "%s %s", name, class)
			}
			w.Stop()
		}
	})
}

// putBack does what asynq's requeue does.
var putBack = redis.NewScript(`
redis.call("LREM", KEYS[1], 0, ARGV[1])
redis.call("ZREM", KEYS[2], ARGV[1])
redis.call("RPUSH", KEYS[3], ARGV[1])
redis.call("HSET", KEYS[4], "state", "pending")
return redis.status_reply("OK")`)

// TestPriorityLasts: over a wait for its time, a retry, a drain and what was fetched ahead.
func TestPriorityLasts(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		rdb := b.Redis()
		waiting := func() []string { return rdb.LRange(t.Context(), "paidui:{q}:high", 0, -1).Val() }

		later := brokertest.WithPriority(brokertest.Message("q", "later"), broker.High)
		later.At = time.Now().Add(time.Hour).Truncate(time.Second)
		brokertest.Enqueue(t, b, later)
		require.Empty(t, waiting())
		w := brokertest.NewWorker(t, b, 1, map[string]int{"q": 1})
		moved, err := move.Run(t.Context(), w, []string{brokertest.Key("q", "scheduled"), brokertest.Key("q", "pending")},
			later.At.Unix(), brokertest.Key("q", "t:"), later.At.UnixNano(), brokertest.Key("q", "g:")).Int()
		require.NoError(t, err)
		require.Equal(t, 1, moved)
		require.Equal(t, []string{"later"}, waiting(), "forwarded")

		w.MustNext()
		require.NoError(t, putBack.Run(t.Context(), w,
			[]string{brokertest.Key("q", "active"), brokertest.Key("q", "lease"), brokertest.Key("q", "pending"), brokertest.Key("q", "t:later")}, "later").Err())
		require.Equal(t, []string{"later"}, waiting(), "put back by asynq")
		require.Empty(t, brokertest.PendingIDs(t, rdb, "q"))

		brokertest.Enqueue(t, b, brokertest.WithPriority(brokertest.Message("q", "second"), broker.High))
		many := brokertest.NewWorker(t, b, 2, map[string]int{"q": 1})
		_, id := many.MustNext()
		require.Equal(t, "later", id)
		many.Stop()
		require.Equal(t, []string{"second"}, waiting(), "put back by the fetcher")
	})
}

// TestGhostsAreDropped: an id whose task does not wait any more never runs, and a great many of them stop nobody.
func TestGhostsAreDropped(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		const ghosts = 5000
		brokertest.Enqueue(t, b, brokertest.Numbered("q", ghosts)...)
		brokertest.Enqueue(t, b, brokertest.Message("q", "last"))
		pipe := b.Redis().Pipeline()
		for i := range ghosts {
			pipe.HSet(t.Context(), brokertest.Key("q", "t:"+strconv.Itoa(i)), "state", "completed")
		}
		_, err := pipe.Exec(t.Context())
		require.NoError(t, err)
		w := brokertest.NewWorker(t, b, 1, map[string]int{"q": 1})
		_, id := w.MustNext()
		require.Equal(t, "last", id)
		require.Empty(t, brokertest.PendingIDs(t, b.Redis(), "q"))
	})
}
