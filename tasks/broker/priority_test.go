package broker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

func TestPriorityOfWhatWaits(t *testing.T) { brokertest.OnSingle(t, priorityOfWhatWaits) }

func priorityOfWhatWaits(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	rdb := b.Redis()
	states := []string{"pending", "high", "low", "scheduled", "retry", "active", "archived"}
	for _, id := range states {
		brokertest.Enqueue(t, b, brokertest.Message("q", id))
		become(t, rdb, id, id)
	}
	ids := append(states, "nobody")
	for range 2 { // the second time changes nothing
		got, err := b.SetPriority(t.Context(), "q", ids, "high")
		require.NoError(t, err)
		set, not := broker.PrioritySet, broker.PriorityNotSet
		require.Equal(t, []broker.PriorityOutcome{set, set, set, set, set, not, not, broker.PriorityAbsent}, got)
		brokertest.RequireSound(t, rdb, states...)
		require.Equal(t, []string{"high", "pending", "low"}, brokertest.Members(t, rdb, "paidui:{q}:high"))
		for _, id := range []string{"scheduled", "retry"} {
			require.Equal(t, "high", rdb.HGet(t.Context(), brokertest.Key("q", "t:"+id), "prio").Val())
		}
	}
	got, err := b.SetPriority(t.Context(), "q", []string{"low"}, "")
	require.NoError(t, err)
	require.Equal(t, []broker.PriorityOutcome{broker.PrioritySet}, got)
	require.Equal(t, []string{"low"}, brokertest.PendingIDs(t, rdb, "q"))
	brokertest.RequireSound(t, rdb, states...)

	b.SetPriorityList(1)
	got, err = b.SetPriority(t.Context(), "q", []string{"high", "low"}, "low")
	require.NoError(t, err)
	require.Equal(t, []broker.PriorityOutcome{broker.PriorityTooMany, broker.PrioritySet}, got)
	brokertest.RequireSound(t, rdb, states...)
}
