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
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

func TestEnqueueOutcomes(t *testing.T) { brokertest.OnSingle(t, enqueueOutcomes) }

func enqueueOutcomes(t *testing.T, url string) {
	for name, opt := range map[string]broker.Options{"standard": {}, "alone": {NoPipelining: true, NoWakeUp: true}} {
		b := brokertest.OpenWith(t, url, opt)
		queue := "q-" + name
		unique := func(id, payload string) *broker.Message {
			m := brokertest.Message(queue, id)
			m.Payload, m.UniqueFor = []byte(payload), time.Hour
			return m
		}
		later := func(m *broker.Message) *broker.Message {
			m.At = time.Now().Add(time.Hour).Truncate(time.Second)
			return m
		}
		brokertest.Enqueue(t, b, brokertest.Message(queue, "there"), unique("only", "x"))
		r := b.Enqueue(t.Context(), brokertest.Message(queue, "there"))
		require.Equal(t, []broker.Receipt{{Outcome: broker.Taken}}, r)
		r = b.Enqueue(t.Context(), unique("second", "x"))
		require.Equal(t, []broker.Receipt{{Outcome: broker.Held, Owner: "only"}}, r)

		r = b.Enqueue(t.Context(),
			brokertest.Message(queue, "a"),
			brokertest.Message(queue+"2", "a"), // an id is a queue's
			unique("b", "y"),
			brokertest.Message(queue, "a"), // twice in one call
			unique("c", "y"),               // held by one in the same call
			later(brokertest.Message(queue, "d")),
			later(unique("e", "z")),
			later(unique("f", "z")),
			brokertest.Message(queue, "there"),
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
		require.Equal(t, []string{"there", "only", "a", "b", "g"}, brokertest.PendingIDs(t, b.Redis(), queue))
		require.Equal(t, []string{"a"}, brokertest.PendingIDs(t, b.Redis(), queue+"2"))
		due, err := b.Redis().ZRangeWithScores(t.Context(), brokertest.Key(queue, "scheduled"), 0, -1).Result()
		require.NoError(t, err)
		require.Len(t, due, 2)
		for _, z := range due {
			require.InDelta(t, time.Now().Add(time.Hour).Unix(), z.Score, 600)
		}
		require.Empty(t, b.Enqueue(t.Context()))
	}
}

func TestManyKeepTheirOrder(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		var list []*broker.Message
		var want []string
		for i := range 3000 { // three queues, so that there are several scripts a round trip
			id := strconv.Itoa(i)
			list = append(list, brokertest.Message([]string{"a", "b", "c"}[i%3], id))
			if i%3 == 1 {
				want = append(want, id)
			}
		}
		brokertest.Enqueue(t, b, list...)
		require.Equal(t, want, brokertest.PendingIDs(t, b.Redis(), "b"))
		brokertest.Enqueue(t, b, brokertest.Numbered("one", 3000)...)
		got := brokertest.PendingIDs(t, b.Redis(), "one")
		require.Len(t, got, 3000)
		require.True(t, slices.IsSortedFunc(got, func(x, y string) int { return brokertest.Number(x) - brokertest.Number(y) }))
	})
}

func TestConcurrentEnqueues(t *testing.T) {
	brokertest.InEachMode(t, func(t *testing.T, opt broker.Options) {
		b := brokertest.OpenWith(t, testenv.RedisURL(t), opt)
		const callers, each = 64, 50
		var all sync.WaitGroup
		for c := range callers {
			all.Go(func() {
				for i := range each {
					m := brokertest.Message("q", fmt.Sprintf("%d-%d", c, i))
					r := b.Enqueue(t.Context(), m)[0]
					assert.NoError(t, r.Err)
					assert.Equal(t, broker.Made, r.Outcome)
				}
			})
		}
		all.Wait()
		ids := brokertest.PendingIDs(t, b.Redis(), "q")
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
	b, direct := brokertest.OpenWith(t, proxy.URL(0)+"?read_timeout=1m", broker.Options{}), brokertest.Open(t, server.URL(0))
	brokertest.Enqueue(t, b, brokertest.Message("q", "first"))
	proxy.Stall(true)
	leaving, leave := context.WithCancelCause(t.Context())
	why := fmt.Errorf("no time")
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			for _, r := range b.Enqueue(leaving, brokertest.Numbered("left", 1+i)...) {
				assert.ErrorIs(t, r.Err, why)
				assert.Equal(t, broker.Unknown, r.Outcome)
			}
		})
	}
	var stay sync.WaitGroup
	for i := range 50 {
		stay.Go(func() {
			for _, r := range b.Enqueue(t.Context(), brokertest.Message("q", strconv.Itoa(i)), brokertest.Message("q2", strconv.Itoa(i))) {
				assert.NoError(t, r.Err)
				assert.Equal(t, broker.Made, r.Outcome)
			}
			assert.NoError(t, b.Enqueue(t.Context(), brokertest.Message("q3", strconv.Itoa(i)))[0].Err)
		})
	}
	leave(why)
	callers.Wait() // while Redis says nothing
	proxy.Stall(false)
	stay.Wait()
	require.Len(t, brokertest.PendingIDs(t, direct.Redis(), "q"), 51)
	require.Len(t, brokertest.PendingIDs(t, direct.Redis(), "q2"), 50)
	require.Len(t, brokertest.PendingIDs(t, direct.Redis(), "q3"), 50)
}

func TestEnqueueWhileRedisIsAway(t *testing.T) {
	brokertest.InEachMode(t, func(t *testing.T, opt broker.Options) {
		server := testenv.Redis(t)
		b := brokertest.OpenWith(t, server.URL(0), opt)
		brokertest.Enqueue(t, b, brokertest.Message("a", "before"))
		server.Kill()
		mixed := append(brokertest.Numbered("a", 300), brokertest.Numbered("b", 200)...)
		for _, list := range [][]*broker.Message{mixed[:1], mixed} {
			for _, r := range b.Enqueue(t.Context(), list...) {
				require.Error(t, r.Err)
				require.Equal(t, broker.Unknown, r.Outcome)
			}
		}
		server.Start() // empty, and knows no script
		require.Eventually(t, func() bool { return b.Ping(t.Context()) == nil }, brokertest.Patience, time.Millisecond)
		brokertest.Enqueue(t, b, mixed...)
		want := make([]string, 300)
		for i := range want {
			want[i] = strconv.Itoa(i)
		}
		require.Equal(t, want, brokertest.PendingIDs(t, b.Redis(), "a"))
		require.Equal(t, want[:200], brokertest.PendingIDs(t, b.Redis(), "b"))
		require.NoError(t, b.Redis().ScriptFlush(t.Context()).Err())
		brokertest.Enqueue(t, b, brokertest.Message("a", "single"))
		require.NoError(t, b.Redis().ScriptFlush(t.Context()).Err())
		r := b.EnqueueIf(t.Context(), broker.Gate{Script: brokertest.Gate("return true")}, brokertest.Message("a", "gated"))
		require.Equal(t, broker.Receipt{Outcome: broker.Made}, r)
	})
}

func TestQueuesAreListed(t *testing.T) { brokertest.OnSingle(t, queuesAreListed) }

func queuesAreListed(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	listed := func() []string {
		names, err := b.Redis().SMembers(t.Context(), "asynq:queues").Result()
		require.NoError(t, err)
		slices.Sort(names)
		return names
	}
	for range 2 {
		brokertest.Enqueue(t, b, brokertest.Message("a", "1"), brokertest.Message("b", "1"))
		brokertest.Enqueue(t, b, brokertest.Message("c", "1"))
		later := brokertest.Message("d", "1")
		later.At = time.Now().Add(time.Hour)
		brokertest.Enqueue(t, b, later)
		r := b.EnqueueIf(t.Context(), broker.Gate{Script: brokertest.Gate("return true")}, brokertest.Message("e", "1"))
		require.Equal(t, broker.Receipt{Outcome: broker.Made}, r)
		require.Equal(t, []string{"a", "b", "c", "d", "e"}, listed())
		require.NoError(t, b.Redis().FlushAll(t.Context()).Err())
	}
}
