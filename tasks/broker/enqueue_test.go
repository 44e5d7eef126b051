package broker_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
)

func TestEnqueueOutcomes(t *testing.T) { onSingle(t, enqueueOutcomes) }

func enqueueOutcomes(t *testing.T, url string) {
	for name, opt := range map[string]broker.Options{"standard": {}, "alone": {NoPipelining: true, NoWakeUp: true}} {
		b := openWith(t, url, opt)
		queue := "q-" + name
		unique := func(id, payload string) *broker.Message {
			m := message(queue, id)
			m.Payload, m.UniqueFor = []byte(payload), time.Hour
			return m
		}
		later := func(m *broker.Message) *broker.Message {
			m.At = time.Now().Add(time.Hour).Truncate(time.Second)
			return m
		}
		enqueue(t, b, message(queue, "there"), unique("only", "x"))
		r := b.Enqueue(t.Context(), message(queue, "there"))
		require.Equal(t, []broker.Receipt{{Outcome: broker.Taken}}, r)
		r = b.Enqueue(t.Context(), unique("second", "x"))
		require.Equal(t, []broker.Receipt{{Outcome: broker.Held, Owner: "only"}}, r)

		r = b.Enqueue(t.Context(),
			message(queue, "a"),
			message(queue+"2", "a"), // an id is a queue's
			unique("b", "y"),
			message(queue, "a"), // twice in one call
			unique("c", "y"),    // held by one in the same call
			later(message(queue, "d")),
			later(unique("e", "z")),
			later(unique("f", "z")),
			message(queue, "there"),
			unique("only", "x"),
			unique("there", "w"), // taken, which holds no uniqueness
			unique("g", "w"),
		)
		require.Equal(t, []broker.Receipt{
			{Outcome: broker.Made}, {Outcome: broker.Made}, {Outcome: broker.Made}, {Outcome: broker.Taken},
			{Outcome: broker.Held, Owner: "b"}, {Outcome: broker.Made}, {Outcome: broker.Made},
			{Outcome: broker.Held, Owner: "e"}, {Outcome: broker.Taken}, {Outcome: broker.Held, Owner: "only"},
			{Outcome: broker.Taken}, {Outcome: broker.Made},
		}, r)
		require.Equal(t, []string{"there", "only", "a", "b", "g"}, pendingIDs(t, b.Redis(), queue))
		require.Equal(t, []string{"a"}, pendingIDs(t, b.Redis(), queue+"2"))
		due, err := b.Redis().ZRangeWithScores(t.Context(), key(queue, "scheduled"), 0, -1).Result()
		require.NoError(t, err)
		require.Len(t, due, 2)
		for _, z := range due {
			require.InDelta(t, time.Now().Add(time.Hour).Unix(), z.Score, 600)
		}
		require.Empty(t, b.Enqueue(t.Context()))
	}
}

func TestManyKeepTheirOrder(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		var list []*broker.Message
		var want []string
		for i := range 3000 { // three queues, so that there are several scripts a round trip
			id := strconv.Itoa(i)
			list = append(list, message([]string{"a", "b", "c"}[i%3], id))
			if i%3 == 1 {
				want = append(want, id)
			}
		}
		enqueue(t, b, list...)
		require.Equal(t, want, pendingIDs(t, b.Redis(), "b"))
		enqueue(t, b, numbered("one", 3000)...)
		got := pendingIDs(t, b.Redis(), "one")
		require.Len(t, got, 3000)
		require.True(t, slices.IsSortedFunc(got, func(x, y string) int { return number(x) - number(y) }))
	})
}

func number(id string) int { n, _ := strconv.Atoi(id); return n }

func TestConcurrentEnqueues(t *testing.T) {
	inEachMode(t, func(t *testing.T, opt broker.Options) {
		b := openWith(t, testenv.RedisURL(t), opt)
		const callers, each = 64, 50
		var all sync.WaitGroup
		for c := range callers {
			all.Go(func() {
				for i := range each {
					m := message("q", fmt.Sprintf("%d-%d", c, i))
					r := b.Enqueue(t.Context(), m)[0]
					assert.NoError(t, r.Err)
					assert.Equal(t, broker.Made, r.Outcome)
				}
			})
		}
		all.Wait()
		ids := pendingIDs(t, b.Redis(), "q")
		require.Len(t, ids, callers*each)
		last := make(map[string]int)
		for _, id := range ids { // each caller's in its order
			c, i, _ := strings.Cut(id, "-")
			require.Equal(t, strconv.Itoa(last[c]), i)
			last[c]++
		}
	})
}

func TestEnqueueOfACallerThatLeaves(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.NewProxy(t, server.Addr)
	b, direct := openWith(t, proxy.URL(0)+"?read_timeout=1m", broker.Options{}), open(t, server.URL(0))
	enqueue(t, b, message("q", "first"))
	proxy.Stall(true)
	leaving, leave := context.WithCancelCause(t.Context())
	why := fmt.Errorf("no time")
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			for _, r := range b.Enqueue(leaving, numbered("left", 1+i)...) {
				assert.ErrorIs(t, r.Err, why)
				assert.Equal(t, broker.Unknown, r.Outcome)
			}
		})
	}
	var stay sync.WaitGroup
	for i := range 50 {
		stay.Go(func() {
			for _, r := range b.Enqueue(t.Context(), message("q", strconv.Itoa(i)), message("q2", strconv.Itoa(i))) {
				assert.NoError(t, r.Err)
				assert.Equal(t, broker.Made, r.Outcome)
			}
			assert.NoError(t, b.Enqueue(t.Context(), message("q3", strconv.Itoa(i)))[0].Err)
		})
	}
	leave(why)
	callers.Wait() // while Redis says nothing
	proxy.Stall(false)
	stay.Wait()
	require.Len(t, pendingIDs(t, direct.Redis(), "q"), 51)
	require.Len(t, pendingIDs(t, direct.Redis(), "q2"), 50)
	require.Len(t, pendingIDs(t, direct.Redis(), "q3"), 50)
}

func TestEnqueueWhileRedisIsAway(t *testing.T) {
	inEachMode(t, func(t *testing.T, opt broker.Options) {
		server := testenv.Redis(t)
		b := openWith(t, server.URL(0), opt)
		enqueue(t, b, message("a", "before"))
		server.Kill()
		mixed := append(numbered("a", 300), numbered("b", 200)...)
		for _, list := range [][]*broker.Message{mixed[:1], mixed} {
			for _, r := range b.Enqueue(t.Context(), list...) {
				require.Error(t, r.Err)
				require.Equal(t, broker.Unknown, r.Outcome)
			}
		}
		server.Start() // empty, and knows no script
		require.Eventually(t, func() bool { return b.Ping(t.Context()) == nil }, patience, time.Millisecond)
		enqueue(t, b, mixed...)
		want := make([]string, 300)
		for i := range want {
			want[i] = strconv.Itoa(i)
		}
		require.Equal(t, want, pendingIDs(t, b.Redis(), "a"))
		require.Equal(t, want[:200], pendingIDs(t, b.Redis(), "b"))
		require.NoError(t, b.Redis().ScriptFlush(t.Context()).Err())
		enqueue(t, b, message("a", "single"))
		require.NoError(t, b.Redis().ScriptFlush(t.Context()).Err())
		r := b.EnqueueIf(t.Context(), broker.Gate{Source: "return true"}, message("a", "gated"))
		require.Equal(t, broker.Receipt{Outcome: broker.Made}, r)
	})
}

func TestQueuesAreListed(t *testing.T) { onSingle(t, queuesAreListed) }

func queuesAreListed(t *testing.T, url string) {
	b := open(t, url)
	listed := func() []string {
		names, err := b.Redis().SMembers(t.Context(), "asynq:queues").Result()
		require.NoError(t, err)
		slices.Sort(names)
		return names
	}
	for range 2 {
		enqueue(t, b, message("a", "1"), message("b", "1"))
		enqueue(t, b, message("c", "1"))
		later := message("d", "1")
		later.At = time.Now().Add(time.Hour)
		enqueue(t, b, later)
		r := b.EnqueueIf(t.Context(), broker.Gate{Source: "return true"}, message("e", "1"))
		require.Equal(t, broker.Receipt{Outcome: broker.Made}, r)
		require.Equal(t, []string{"a", "b", "c", "d", "e"}, listed())
		require.NoError(t, b.Redis().FlushAll(t.Context()).Err())
	}
}
