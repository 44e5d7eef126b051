package fetch

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCallsOfAsynq: what is no call of asynq's goes through; TestAsBareAsynq has the real ones.
func TestCallsOfAsynq(t *testing.T) {
	t.Parallel()
	p := "asynq:{q}:"
	task := p + "t:x"
	args := func(n int) []any { return make([]any, n) }
	for _, c := range []struct {
		keys   []string
		args   []any
		kind   endKind
		unique string
	}{
		{[]string{p + "active", p + "lease", task, p + "processed:2026-01-02", p + "processed"}, args(3), endDone, ""},
		{[]string{p + "active", p + "lease", task, p + "processed:2026-01-02", p + "processed", "u"}, args(3), endDone, "u"},
		{[]string{p + "active", p + "lease", p + "completed", task, p + "processed:2026-01-02", p + "processed"}, args(5), endComplete, ""},
		{[]string{p + "active", p + "lease", p + "completed", task, p + "processed:2026-01-02", p + "processed", "u"}, args(5), endComplete, "u"},
		{[]string{task, p + "active", p + "lease", p + "retry", "", "", "", ""}, args(6), endRetry, ""},
		{[]string{task, p + "active", p + "lease", p + "archived", "", "", "", "", p + "t:"}, args(7), endArchive, ""},
		{[]string{p + "active", p + "lease", p + "pending", task}, args(1), endRequeue, ""},
	} {
		end, ok := isEndCall(c.keys, c.args)
		require.True(t, ok, c.keys)
		require.Equal(t, c.kind, end.kind)
		require.Equal(t, task, end.task())
		require.Equal(t, c.unique, end.unique())
		if end.finishes() {
			require.Equal(t, p+"processed:2026-01-02", end.day())
		}
		for _, other := range [][]any{args(len(c.args) + 1), args(len(c.args) - 1)} {
			_, ok = isEndCall(c.keys, other)
			require.False(t, ok, "another number of arguments")
		}
		_, ok = isEndCall(append(c.keys, "", ""), c.args)
		require.False(t, ok, "other keys")
		_, ok = isDequeueCall(c.keys)
		require.False(t, ok)
		require.False(t, isRecoverCall(c.keys))
	}
	_, ok := isEndCall(nil, nil)
	require.False(t, ok)

	queue, ok := isDequeueCall([]string{p + "pending", p + "paused", p + "active", p + "lease"})
	require.True(t, ok)
	require.Equal(t, "q", queue)
	queue, second, ok := isForwardCall([]string{p + "retry", p + "pending"}, []any{int64(7), p + "t:", int64(7e9), p + "g:"})
	require.True(t, ok)
	require.Equal(t, "q", queue)
	require.EqualValues(t, 7, second)
	_, _, ok = isForwardCall([]string{p + "completed", p + "pending"}, []any{int64(7), "", int64(7e9), ""})
	require.False(t, ok)
	require.True(t, isRecoverCall([]string{p + "lease"}))
}
