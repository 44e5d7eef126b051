package server_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type batchItem struct {
	Code   int
	Msg    string
	TaskID string `json:"task_id"`
	Field  string

	Warnings []warning
}

func (s *system) batch(t *testing.T, items []any, more ...with) (got []batchItem) {
	t.Helper()
	a := s.Post("/v1/tasks/batch", map[string]any{"tasks": items}, append(more, asOperator)...)
	require.Equal(t, []int{http.StatusOK, 100}, []int{a.Status, a.Code}, "%s", a.Raw)
	a.Into(t, &got)
	require.Len(t, got, len(items))
	return got
}

func TestABatchTellsTheTruthOfEachTask(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.work(t)
	add := func(n int, options ...any) map[string]any {
		call := map[string]any{"task": "demo.add", "args": map[string]int{"n": n, "m": 1}}
		for i := 0; i < len(options); i += 2 {
			call[options[i].(string)] = options[i+1]
		}
		return call
	}
	items := make([]any, 1000)
	for i := range items {
		switch i % 10 {
		case 0:
			items[i] = add(i, "id", fmt.Sprint("batch-", i))
		case 1:
			items[i] = add(i, "id", fmt.Sprint("batch-", i-1)) // the one before
		case 2:
			items[i] = add(i, "colour", "red")
		case 3:
			items[i] = map[string]any{"task": "demo.add", "args": map[string]any{"n": i}}
		case 4:
			items[i] = map[string]any{"task": "demo.mul", "args": map[string]any{}}
		case 5:
			items[i] = i
		case 6:
			items[i] = add(i, "on_success", []any{map[string]any{"task": "demo.add", "args": map[string]any{"n": 1, "m": "x"}}})
		default:
			items[i] = add(i, "priority", "high")
		}
	}
	for i, got := range s.batch(t, items) {
		want := batchItem{Code: 100, Msg: "任务已提交", TaskID: got.TaskID}
		field := map[int]string{2: "colour", 3: "args.m", 4: "task", 5: "", 6: "on_success[0].args.m"}
		switch i % 10 {
		case 0:
			want.TaskID = fmt.Sprint("batch-", i)
		case 1:
			want = batchItem{Code: 101, Msg: "同样的任务已经存在", TaskID: fmt.Sprint("batch-", i-1)}
		case 2, 3, 4, 5, 6:
			want = batchItem{Code: 400, Msg: got.Msg, Field: field[i%10]}
		}
		require.Equal(t, want, got)
		require.NotEmpty(t, got.Msg)
		if got.Code == 100 && i%100 == 0 {
			require.EqualValues(t, i+1, s.task(t, "/v1/tasks/"+got.TaskID+"?wait=20s", asOperator).Result)
		}
	}
	english := s.batch(t, []any{add(1), add(1, "timeout", 0)}, inEnglish)
	require.Equal(t, []string{"the task is queued", "timeout"}, []string{english[0].Msg, english[1].Field})
}

func TestABatchLargerThanOtherBodies(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	items := make([]any, 300)
	for i := range items {
		items[i] = map[string]any{
			"task": "demo.add", "args": map[string]int{"n": i, "m": 1}, "headers": map[string]string{"filler": fmt.Sprintf("%01000d", i)},
		}
	}
	for _, got := range s.batch(t, items) {
		require.Equal(t, 100, got.Code, "%s", got.Msg)
	}
}

func TestABatchWithoutBroker(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.redis.Kill()
	got := s.batch(t, []any{
		map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 1}}, map[string]any{"task": "demo.add"},
	})
	require.Equal(t, []int{503, 400}, []int{got[0].Code, got[1].Code})
	require.Empty(t, got[0].TaskID)
	s.redis.Start()
}

func TestAllOptionsOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.Post("/v1/tasks", map[string]any{
		"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, "id": "mine", "priority": "low", "countdown": "1h", "expires": "2h",
		"timeout": "5s", "hard_timeout": "8s", "max_crashes": 2, "result_limit": 100, "unique_until_done": true, "unique_key": "k",
		"retention": "1h", "history": "meta", "tags": []string{"a", "用户:7"}, "headers": map[string]string{"tenant": "t1"},
		"on_success": []any{map[string]any{"task": "demo.low", "args": map[string]int{"n": 3, "m": 4}, "countdown": 1}},
		"on_failure": []any{map[string]any{"task": "demo.add", "args": map[string]int{"n": 3, "m": 4}, "id": "after"}},
	}, asOperator)
	require.Equal(t, []any{100, "mine"}, []any{made.Code, made.TaskID}, "%s", made.Raw)
	got := s.task(t, "/v1/tasks/mine", asOperator)
	require.Equal(t, "PENDING", got.State)
	require.WithinDuration(t, got.EnqueuedAt.Add(time.Hour), *got.ETA, time.Second)
	same := s.Post("/v1/tasks", map[string]any{
		"task": "demo.add", "args": map[string]int{"n": 5, "m": 6}, "unique_for": 10, "unique_key": "k",
	}, asOperator)
	require.Contains(t, []int{100, 101}, same.Code, "%s", same.Raw)
}

func TestTaskTypesShowTheirOptions(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	var types []struct {
		Name, Queue string
		Options     map[string]any
	}
	s.Get("/v1/task-types", asOperator).Into(t, &types)
	require.NotEmpty(t, types)
	for _, d := range types {
		require.NotNil(t, d.Options, d.Name)
		require.NotEmpty(t, d.Queue)
	}
}
