package brokertest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
)

// places are where a queue's tasks of each state are.
var places = map[string][]string{
	"pending":   {"asynq:{q}:pending", "paidui:{q}:high", "paidui:{q}:low"},
	"active":    {"asynq:{q}:active"},
	"scheduled": {"asynq:{q}:scheduled"},
	"retry":     {"asynq:{q}:retry"},
	"archived":  {"asynq:{q}:archived"},
	"completed": {"asynq:{q}:completed"},
}

// Members are the ids in a list or set.
func Members(t testing.TB, rdb redis.UniversalClient, key string) []string {
	t.Helper()
	kind, err := rdb.Type(t.Context(), key).Result()
	require.NoError(t, err)
	var ids []string
	switch kind {
	case "list":
		ids, err = rdb.LRange(t.Context(), key, 0, -1).Result()
	case "zset":
		ids, err = rdb.ZRange(t.Context(), key, 0, -1).Result()
	case "set":
		ids, err = rdb.SMembers(t.Context(), key).Result()
	}
	require.NoError(t, err)
	return ids
}

// StateOf is asynq's state of a task, "" without one.
func StateOf(t testing.TB, rdb redis.UniversalClient, id string) string {
	t.Helper()
	state, err := rdb.HGet(t.Context(), Key("q", "t:"+id), "state").Result()
	if err != redis.Nil {
		require.NoError(t, err)
	}
	return state
}

// RequireSound holds what queue q is made of together: each of the tasks is in one place, that of its state, nothing else
// is anywhere, and asynq's own tools agree.
func RequireSound(t testing.TB, rdb redis.UniversalClient, ids ...string) {
	t.Helper()
	found := make(map[string][]string)
	counts := make(map[string]int)
	for state, keys := range places {
		for _, k := range keys {
			for _, id := range Members(t, rdb, k) {
				found[id] = append(found[id], state)
				counts[state]++
			}
		}
	}
	for _, id := range ids {
		state := StateOf(t, rdb, id)
		if state == "" {
			require.Empty(t, found[id], "the deleted task %s", id)
			continue
		}
		require.Equal(t, []string{state}, found[id], "places of task %s", id)
		delete(found, id)
		seen, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo("q", id)
		require.NoError(t, err)
		require.Equal(t, []string{id, state}, []string{seen.ID, seen.State.String()})
		owner, err := rdb.HGet(t.Context(), Key("q", "t:"+id), "tags").Result()
		if err == nil {
			for tag := range strings.FieldsSeq(owner) {
				require.Equal(t, state != "completed" && state != "archived",
					rdb.SIsMember(t.Context(), "paidui:{q}:tag:"+tag, id).Val(), "task %s, which is %s, has tag %s", id, state, tag)
			}
		}
	}
	require.Empty(t, found)
	info, err := asynq.NewInspectorFromRedisClient(rdb).GetQueueInfo("q")
	require.NoError(t, err)
	high, low := len(Members(t, rdb, "paidui:{q}:high")), len(Members(t, rdb, "paidui:{q}:low"))
	require.Equal(t, counts, nonZero(map[string]int{
		"pending": info.Pending + high + low, "active": info.Active, "scheduled": info.Scheduled, "retry": info.Retry,
		"archived": info.Archived, "completed": info.Completed,
	}))
}

func nonZero(m map[string]int) map[string]int {
	for k, n := range m {
		if n == 0 {
			delete(m, k)
		}
	}
	return m
}

// NextRun is a judge that counts runs in a header.
func NextRun(task *broker.StoredTask, fresh bool) ([]broker.Header, error) {
	n, _ := strconv.Atoi(task.Headers["run"])
	return []broker.Header{{Key: "run", Value: strconv.Itoa(max(n, 1) + 1)}}, nil
}

// Number is the Number that an id of Numbered is.
func Number(id string) int { n, _ := strconv.Atoi(id); return n }
