package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
)

// queue is GET /v1/queues/{name}.
func (s *system) queue(t *testing.T, name string) (q tasks.QueueInfo) {
	t.Helper()
	a := s.Get("/v1/queues/"+name, asOperator)
	require.Equal(t, 100, a.Code, a.Msg)
	a.Into(t, &q)
	return q
}

func TestQueuesOverHTTP(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*system{"redis": start(t), "embedded": startEmbedded(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.enqueue(t, 1)
			s.enqueue(t, 2, "priority", "high")
			s.enqueue(t, 3, "countdown", "1h")
			for _, queue := range []string{"a", "b", "c"} {
				s.enqueue(t, 1, "queue", queue)
			}
			q := s.queue(t, "default")
			require.Equal(t, []any{"default", 2, 1, 1, 0, 3}, []any{q.Name, q.Pending, q.ByPriority.High, q.Scheduled, q.Active, q.InLastMinute})
			require.Nil(t, q.Paused)
			require.Positive(t, q.OldestWait)
			var names []string
			for path := "/v1/queues?limit=3"; path != ""; {
				var page struct {
					Queues []tasks.QueueInfo
					Next   *string `json:"next_cursor"`
				}
				s.Get(path, asOperator).Into(t, &page)
				for _, q := range page.Queues {
					names = append(names, q.Name)
				}
				path = ""
				if page.Next != nil {
					path = "/v1/queues?limit=3&cursor=" + *page.Next
				}
			}
			require.Equal(t, "a b c default", strings.Join(names, " "))
			for path, field := range map[string]string{"limit=0": "limit", "limit=1001": "limit", "limit=x": "limit", "cursor=%25": "cursor", "x=1": "x"} {
				a := s.Get("/v1/queues?"+path, asOperator)
				require.Equal(t, []any{400, field}, []any{a.Code, a.Field})
			}
			require.Equal(t, 401, s.Get("/v1/queues").Code)
		})
	}
}

func TestUnknownQueuesOverHTTP(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	for _, name := range []string{"nobody", "%20", "a%2Fb", "%7D%7B", strings.Repeat("q", 65), "..%2f", "%00", "%E9%98%9F", "*"} {
		a := s.Get("/v1/queues/"+name, asOperator, inEnglish)
		require.Equal(t, []any{404, "name", "there is no such queue"}, []any{a.Code, a.Field, a.Msg}, name)
		for _, act := range []string{"pause", "resume"} {
			require.Equal(t, 404, s.Post("/v1/queues/"+name+"/"+act, nil, asOperator).Code, name)
		}
		require.Equal(t, 404, s.Post("/v1/queues/"+name+"/purge", map[string]any{"states": []string{"pending"}}, asOperator).Code, name)
	}
	for _, act := range []string{"pause", "resume", "purge"} {
		require.Equal(t, 401, s.Post("/v1/queues/default/"+act, nil).Code)
	}
}

func TestPauseOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.work(t)
	first := s.enqueue(t, 1)
	require.Equal(t, "SUCCESS", s.task(t, "/v1/tasks/"+first+"?wait=20s").State)
	var data struct {
		Paused  tasks.QueuePause
		Changed bool
	}
	a := s.Post("/v1/queues/default/pause", nil, asOperator, inEnglish)
	a.Into(t, &data)
	require.Equal(t, []any{100, "the queue is paused", "operator", true}, []any{a.Code, a.Msg, data.Paused.By, data.Changed})
	since := data.Paused.Since
	a = s.Post("/v1/queues/default/pause", nil, asOperator, inEnglish)
	a.Into(t, &data)
	require.Equal(t, []any{100, "the queue was paused before", false}, []any{a.Code, a.Msg, data.Changed})
	require.True(t, since.Equal(data.Paused.Since))
	require.Equal(t, "operator", s.queue(t, "default").Paused.By)

	waiting, other := s.enqueue(t, 2), s.enqueue(t, 3, "queue", "low")
	require.Equal(t, "SUCCESS", s.task(t, "/v1/tasks/"+other+"?wait=20s").State)
	require.Equal(t, "PENDING", s.task(t, "/v1/tasks/"+waiting).State)
	a = s.Post("/v1/queues/default/resume", nil, asOperator, inEnglish)
	require.Equal(t, []any{100, "the queue runs again"}, []any{a.Code, a.Msg})
	require.Equal(t, "SUCCESS", s.task(t, "/v1/tasks/"+waiting+"?wait=20s").State)
	a = s.Post("/v1/queues/default/resume", nil, asOperator, inEnglish)
	require.Equal(t, []any{100, "the queue was not paused"}, []any{a.Code, a.Msg})
	require.JSONEq(t, `{"changed":false}`, string(a.Data))

	require.NoError(t, asynq.NewInspectorFromRedisClient(s.broker.Redis()).PauseQueue("default"))
	q := s.queue(t, "default")
	require.Empty(t, q.Paused.By)
	require.WithinDuration(t, time.Now(), q.Paused.Since, 20*time.Second)
}

func TestPurgeOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.enqueue(t, 1)
	s.enqueue(t, 2, "countdown", "1h")
	purge := func(body any) answer { return s.Post("/v1/queues/default/purge", body, asOperator, inEnglish) }
	for _, body := range []any{
		map[string]any{}, map[string]any{"states": []string{}}, map[string]any{"states": []string{"active"}}, map[string]any{"states": []string{"x"}},
		map[string]any{"states": []string{"pending", ""}}, map[string]any{"states": "pending"}, map[string]any{"states": make([]string, 11)},
	} {
		a := purge(body)
		require.Equal(t, []any{400, "states"}, []any{a.Code, a.Field}, "%v: %s", body, a.Msg)
	}
	require.Equal(t, "all", purge(map[string]any{"states": []string{"pending"}, "all": true}).Field)
	all := []string{"pending", "scheduled", "retry", "dead", "completed"}
	a := purge(map[string]any{"states": all, "dry_run": true})
	require.Equal(t, []any{100, "a dry run: nothing is purged"}, []any{a.Code, a.Msg})
	require.JSONEq(t, `{"dry_run":true,"purged":{"pending":0,"scheduled":0,"retry":0,"dead":0,"completed":0},`+
		`"left":{"pending":1,"scheduled":1,"retry":0,"dead":0,"completed":0},"more":false}`, string(a.Data))
	require.Equal(t, "PENDING", s.task(t, "/v1/tasks/"+id).State)
	a = purge(map[string]any{"states": []string{"pending"}})
	require.Equal(t, []any{100, "the tasks are purged"}, []any{a.Code, a.Msg})
	require.JSONEq(t, `{"dry_run":false,"purged":{"pending":1},"left":{"pending":0},"more":false}`, string(a.Data))
	got := s.task(t, "/v1/tasks/"+id)
	require.Equal(t, []any{"REVOKED", "purged by an operator"}, []any{got.State, got.Error})
	s.redis.Stop()
	require.Equal(t, 503, purge(map[string]any{"states": all}).Code)
	require.Equal(t, 503, s.Get("/v1/queues", asOperator).Code)
}

// TestAPurgeEndsInItsTime: it says what is left, and goes on when it is asked again.
func TestAPurgeEndsInItsTime(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	s.api.SetPurgeBudget(0)
	for n := range 450 {
		s.enqueue(t, n)
	}
	for _, want := range []string{
		`{"dry_run":false,"purged":{"pending":200},"left":{"pending":250},"more":true}`,
		`{"dry_run":false,"purged":{"pending":200},"left":{"pending":50},"more":true}`,
		`{"dry_run":false,"purged":{"pending":50},"left":{"pending":0},"more":false}`,
	} {
		a := s.Post("/v1/queues/default/purge", map[string]any{"states": []string{"pending"}}, asOperator)
		require.Equal(t, 100, a.Code)
		require.JSONEq(t, want, string(a.Data))
	}
}

func TestAFullQueueOverHTTP(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, func(o *options) {
		o.Tasks = tasks.NewClient(o.Broker, tasks.ClientOptions{MaxLength: map[string]int{"default": 2}})
	})
	add := map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}}
	for range 2 {
		require.Equal(t, 100, s.Post("/v1/tasks", add, asOperator).Code)
	}
	a := s.Post("/v1/tasks", add, asOperator, inEnglish)
	require.Equal(t, []any{503, "the queue is full, try again later", "5"}, []any{a.Code, a.Msg, a.Header.Get("Retry-After")})
	require.Empty(t, a.TaskID)
	var items []struct{ Code int }
	s.Post("/v1/tasks/batch", map[string]any{"tasks": []any{add, map[string]any{"task": "demo.add", "args": add["args"], "queue": "low"}}}, asOperator).Into(t, &items)
	require.Equal(t, []struct{ Code int }{{503}, {100}}, items)
	q := s.queue(t, "default")
	require.Equal(t, []int{2, 2}, []int{q.Pending, q.MaxLength})
	require.NotContains(t, s.log.String(), "request failed")
}
