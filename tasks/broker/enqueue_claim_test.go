package broker_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

func TestAChosenIDIsOfOneQueue(t *testing.T) { brokertest.OnSingle(t, chosenIDs) }

func chosen(queue, id string) *broker.Message {
	m := brokertest.Message(queue, id)
	m.Chosen = true
	return m
}

func outcomes(receipts []broker.Receipt) (list []string) {
	for _, r := range receipts {
		switch {
		case r.Err != nil:
			list = append(list, r.Err.Error())
		case r.Outcome == broker.Made:
			list = append(list, "made")
		case r.Outcome == broker.Taken && r.Other:
			list = append(list, "other")
		case r.Outcome == broker.Taken:
			list = append(list, "taken")
		case r.Outcome == broker.Full:
			list = append(list, "full")
		case r.Outcome == broker.Held:
			list = append(list, "held")
		default:
			list = append(list, fmt.Sprint(r.Outcome))
		}
	}
	return list
}

func chosenIDs(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	brokertest.Enqueue(t, b, brokertest.Message("one", "before")) // as the build before did, without a claim
	later := chosen("three", "later")
	later.At = time.Now().Add(time.Hour).Truncate(time.Second)
	tagged := chosen("two", "tagged")
	tagged.Tags, tagged.Priority = []string{"tag"}, broker.High
	require.Equal(t, []string{"other", "taken", "made", "made", "made"}, outcomes(b.Enqueue(t.Context(),
		chosen("two", "before"), chosen("one", "before"), chosen("one", "id"), later, tagged)))
	require.Equal(t, []string{"other", "taken", "other", "other", "made"}, outcomes(b.Enqueue(t.Context(),
		chosen("two", "id"), chosen("one", "id"), chosen("four", "later"), chosen("one", "tagged"), brokertest.Message("five", "made"))))
	twice := outcomes(b.Enqueue(t.Context(), chosen("one", "twice"), chosen("two", "twice")))
	require.ElementsMatch(t, []string{"made", "other"}, twice, "in one call")
	gate := broker.Gate{Script: brokertest.Gate("return true, 1")}
	require.Equal(t, []string{"other"}, outcomes([]broker.Receipt{b.EnqueueIf(t.Context(), gate, chosen("two", "id"))}))
	require.Equal(t, []string{"made"}, outcomes([]broker.Receipt{b.EnqueueIf(t.Context(), gate, chosen("two", "new"))}))

	_, err := b.Redis().Del(t.Context(), "asynq:{one}:t:id").Result() // as the end of its retention does
	require.NoError(t, err)
	require.Equal(t, []string{"made"}, outcomes(b.Enqueue(t.Context(), chosen("two", "id"))), "an id is free again when its task is gone")

	for round := range 10 {
		var group sync.WaitGroup
		var mu sync.Mutex
		count := map[string]int{}
		for queue := range 8 {
			group.Go(func() {
				for _, word := range outcomes(b.Enqueue(t.Context(), chosen(fmt.Sprint("q", queue), fmt.Sprint("same-", round)))) {
					mu.Lock()
					count[word]++
					mu.Unlock()
				}
			})
		}
		group.Wait()
		assert.Equal(t, map[string]int{"made": 1, "other": 7}, count)
	}
	keys, err := b.Redis().Keys(t.Context(), "paidui:claim:*").Result()
	require.NoError(t, err)
	require.Empty(t, keys, "no claim outlives its call")
}

// claimLeftBehind is on a cluster: a process died between its claim and its task.
func claimLeftBehind(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	claim := func(id string) {
		require.NoError(t, b.Redis().Set(t.Context(), "paidui:claim:{"+id+"}", "one token", time.Minute).Err())
	}
	claim("id")
	require.Equal(t, []string{"made"}, outcomes(b.Enqueue(t.Context(), chosen("one", "id"))), "the same call, repeated, takes it over")
	claim("id")
	require.Equal(t, []string{"other"}, outcomes(b.Enqueue(t.Context(), chosen("two", "id"))), "the task is there: nothing is waited for")

	claim("other")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := b.Enqueue(ctx, chosen("two", "other"))[0].Err
	require.Error(t, err, "another queue may be about to have it")
	require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded, "it waits for the claim's end: %v", err)
	require.NoError(t, b.Redis().Del(t.Context(), "paidui:claim:{other}").Err()) // it expires
	require.Equal(t, []string{"made"}, outcomes(b.Enqueue(t.Context(), chosen("two", "other"))))
}
