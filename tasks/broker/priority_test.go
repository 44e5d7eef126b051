package broker_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
)

func withPriority(m *broker.Message, p broker.Priority) *broker.Message {
	m.Priority = p
	return m
}

// TestHighOvertakesABacklog: of 100,000 normal tasks, hardly any begins before one of high priority.
func TestHighOvertakesABacklog(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.RedisURL(t))
	enqueue(t, b, numbered("q", 100_000)...)
	w := newWorker(t, b, 8, map[string]int{"q": 1})
	for i := range 20 {
		id := "high" + strconv.Itoa(i)
		enqueue(t, b, withPriority(message("q", id), broker.High))
		before := 0
		for {
			_, next := w.mustNext()
			require.NoError(t, w.done(t.Context(), "q", next))
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
	onSingle(t, func(t *testing.T, url string) {
		for name, slots := range map[string]int{"one": 1, "many": 8} {
			b := open(t, url)
			queue := "q" + name
			for i := range 400 {
				enqueue(t, b, withPriority(message(queue, "high"+strconv.Itoa(i)), broker.High))
			}
			for i := range 20 {
				enqueue(t, b, message(queue, "normal"+strconv.Itoa(i)), withPriority(message(queue, "low"+strconv.Itoa(i)), broker.Low))
			}
			w := newWorker(t, b, slots, map[string]int{queue: 1})
			w.SetTurnaround(time.Hour) // nothing is fetched ahead, so nothing is put back behind what follows
			got := map[string][]int{}
			for range 256 {
				_, id := w.mustNext()
				require.NoError(t, w.done(t.Context(), queue, id))
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
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		rdb := b.Redis()
		waiting := func() []string { return rdb.LRange(t.Context(), "paidui:{q}:high", 0, -1).Val() }

		later := withPriority(message("q", "later"), broker.High)
		later.At = time.Now().Add(time.Hour).Truncate(time.Second)
		enqueue(t, b, later)
		require.Empty(t, waiting())
		w := newWorker(t, b, 1, map[string]int{"q": 1})
		moved, err := move.Run(t.Context(), w, []string{key("q", "scheduled"), key("q", "pending")},
			later.At.Unix(), key("q", "t:"), later.At.UnixNano(), key("q", "g:")).Int()
		require.NoError(t, err)
		require.Equal(t, 1, moved)
		require.Equal(t, []string{"later"}, waiting(), "forwarded")

		w.mustNext()
		require.NoError(t, putBack.Run(t.Context(), w,
			[]string{key("q", "active"), key("q", "lease"), key("q", "pending"), key("q", "t:later")}, "later").Err())
		require.Equal(t, []string{"later"}, waiting(), "put back by asynq")
		require.Empty(t, pendingIDs(t, rdb, "q"))

		enqueue(t, b, withPriority(message("q", "second"), broker.High))
		many := newWorker(t, b, 2, map[string]int{"q": 1})
		_, id := many.mustNext()
		require.Equal(t, "later", id)
		many.Stop()
		require.Equal(t, []string{"second"}, waiting(), "put back by the fetcher")
	})
}

// TestGhostsAreDropped: an id whose task does not wait any more never runs, and a great many of them stop nobody.
func TestGhostsAreDropped(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		const ghosts = 5000
		enqueue(t, b, numbered("q", ghosts)...)
		enqueue(t, b, message("q", "last"))
		pipe := b.Redis().Pipeline()
		for i := range ghosts {
			pipe.HSet(t.Context(), key("q", "t:"+strconv.Itoa(i)), "state", "completed")
		}
		_, err := pipe.Exec(t.Context())
		require.NoError(t, err)
		w := newWorker(t, b, 1, map[string]int{"q": 1})
		_, id := w.mustNext()
		require.Equal(t, "last", id)
		require.Empty(t, pendingIDs(t, b.Redis(), "q"))
	})
}
