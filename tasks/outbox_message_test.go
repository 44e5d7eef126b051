package tasks_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
)

// FuzzOutboxMessage reads what may stand in an outbox. What is read is written as it was.
func FuzzOutboxMessage(f *testing.F) {
	f.Add([]byte(`{"id":"default_1","task":"demo.add","queue":"default","args":{"n":1},"headers":[["enq","1"],["ob","1"]],` +
		`"max_retry":4,"timeout":1805,"retention":3600,"at":1700000000,"priority":1,"tags":["a"],"unique_for":5,"key":"aw=="}`))
	f.Add([]byte(`{"id":"x","task":"t","queue":"q","args":null,"headers":null,"timeout":1,"retention":0,"unknown":1}`))
	f.Add([]byte(`{"id":"","task":"T","queue":"no queue"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p tasks.OutboxMessage
		if json.Unmarshal(raw, &p) != nil {
			return
		}
		require.True(t, tasks.ValidID(p.ID()))
		require.True(t, tasks.ValidQueue(p.Queue()))
		first, err := json.Marshal(&p)
		require.NoError(t, err)
		var again tasks.OutboxMessage
		require.NoError(t, json.Unmarshal(first, &again))
		second, err := json.Marshal(&again)
		require.NoError(t, err)
		require.JSONEq(t, string(first), string(second))
	})
}
