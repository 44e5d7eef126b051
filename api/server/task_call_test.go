package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/demo"
	"github.com/paidui/paidui/tasks/sms"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/tasks/ticks"
)

type task struct {
	ID         string
	Task       string
	Queue      string
	State      string
	Args       map[string]any
	Result     any
	MaxRetries int `json:"max_retries"`
	Error      string
	RequestID  string `json:"request_id"`
	ETA        *time.Time
	Expires    *time.Time
	EnqueuedAt *time.Time `json:"enqueued_at"`
	NextRunAt  *time.Time `json:"next_run_at"`
}

func (s *system) task(t *testing.T, path string, more ...with) (got task) {
	t.Helper()
	a := s.get(path, more...)
	require.Equal(t, 100, a.Code, "%s", a.raw)
	a.into(t, &got)
	return got
}

func TestATaskFromHTTPToItsResult(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.work(t)
	made := s.post("/v1/tasks/", map[string]any{"task": "demo.add", "args": map[string]int{"n": 10, "m": 20}},
		asOperator, header("X-Request-ID", "from-the-client"))
	require.Equal(t, 100, made.Code, "%s", made.raw)
	require.Regexp(t, "^default_", made.TaskID)
	require.Equal(t, "from-the-client", made.header.Get("X-Request-ID"))

	got := s.task(t, "/v1/tasks/"+made.TaskID+"?wait=20")
	require.Equal(t, []any{made.TaskID, "demo.add", "default", "SUCCESS", 30.0, ""},
		[]any{got.ID, got.Task, got.Queue, got.State, got.Result, got.RequestID})
	require.Nil(t, got.Args, "arguments are for the operator")
	require.Nil(t, s.task(t, "/v1/tasks/"+made.TaskID, bearer("someone")).Args)
	seen := s.task(t, "/v1/tasks/"+made.TaskID, asOperator)
	require.Equal(t, []any{map[string]any{"n": 10.0, "m": 20.0}, "from-the-client"}, []any{seen.Args, seen.RequestID})
	require.Eventually(t, func() bool { // the worker's log has the request's id
		return contains(s.log.String(), `"task_id":"`+made.TaskID+`"`, `"request_id":"from-the-client"`)
	}, 20*time.Second, 10*time.Millisecond)
}

// TestAGuessableIDTellsTheStateAlone: an id that its caller chose may be tried by anybody.
func TestAGuessableIDTellsTheStateAlone(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.work(t)
	made := s.post("/v1/tasks", map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2},
		"id": "order-17", "tags": []string{"customer-4711"}}, asOperator)
	require.Equal(t, "order-17", made.TaskID, "%s", made.raw)
	seen := s.task(t, "/v1/tasks/order-17?wait=20", asOperator)
	require.Equal(t, []any{"SUCCESS", 3.0, "demo.add"}, []any{seen.State, seen.Result, seen.Task})

	for _, who := range [][]with{nil, {bearer("someone")}} {
		guessed := s.get("/v1/tasks/order-17?wait=1", who...)
		require.JSONEq(t, `{"id":"order-17","task":"","queue":"","state":"SUCCESS","result":null,"error":"","progress":null,"retries":0,
			"max_retries":0,"crashes":0,"attempts":[],"tags":[],"enqueued_at":null,"eta":null,"expires":null,"started_at":null,
			"next_run_at":null,"last_failed_at":null,"completed_at":null}`, string(guessed.Data))
		e, ok := s.follow(t, http.StatusOK, "order-17", who...).next()
		require.True(t, ok)
		require.Contains(t, e.data, `"state":"SUCCESS","result":null`)
		require.NotContains(t, e.data, "customer-4711")
	}
}

// fail runs a worker in which every task of the definitions that bind names fails.
func (s *system) fail(t *testing.T, bind func(*tasks.Mux)) {
	t.Helper()
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
	bind(mux)
	taskstest.Serve(t, s.broker, mux, "sms", "seckill", "default")
}

func TestErrorsOfTasksAreForOperators(t *testing.T) {
	t.Parallel()
	s := start(t)
	const detail = "dial tcp 10.0.0.1:3306: connect: connection refused"
	told := &sms.SendError{Mobile: mobile, Why: "系统繁忙，请稍后再试", Err: errors.New(detail)}
	s.fail(t, func(mux *tasks.Mux) {
		tasks.Handle(mux, demo.Add, func(_ context.Context, a demo.AddArgs) (int, error) {
			if a.N == 0 {
				return 0, tasks.Permanent(errors.New(detail))
			}
			return 0, errors.New(detail)
		})
		tasks.Handle(mux, sms.Send, func(_ context.Context, a sms.SendArgs) (string, error) {
			if a.Mobile == mobile {
				return "", tasks.Permanent(told)
			}
			return "", tasks.Permanent(errors.New(detail))
		})
	})
	add := func(n int, option string, value any) map[string]any {
		return map[string]any{"task": "demo.add", "args": map[string]int{"n": n, "m": 2}, option: value}
	}
	send := func(mobile string) map[string]any {
		return map[string]any{"task": "sms.send", "args": map[string]string{"mobile": mobile}}
	}
	tests := map[string]struct {
		body                  map[string]any
		state                 string
		chinese, english, raw string
	}{
		"failed":        {add(0, "max_retries", 0), "FAILURE", "任务失败", "the task failed", detail},
		"retried":       {add(1, "backoff", map[string]any{"base": "1h", "cap": "1h"}), "RETRY", "上次执行失败", "the last attempt failed", detail},
		"told":          {send(mobile), "FAILURE", told.Error(), told.Error(), told.Error()},
		"sms, not told": {send("13800000009"), "FAILURE", "任务失败", "the task failed", detail},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := &system{client: s.on(t)}
			made := s.post("/v1/tasks", test.body, asOperator)
			require.Equal(t, 100, made.Code, "%s", made.raw)
			path := "/v1/tasks/" + made.TaskID
			require.Eventually(t, func() bool { return s.task(t, path).State == test.state }, 20*time.Second, 10*time.Millisecond)
			require.Equal(t, test.chinese, s.task(t, path).Error)
			require.Equal(t, test.english, s.task(t, path, inEnglish).Error)
			require.Equal(t, test.chinese, s.task(t, path, bearer("someone")).Error)
			require.Equal(t, test.raw, s.task(t, path, asOperator).Error)
			seen, known := s.get(path), s.get(path, asOperator)
			require.Contains(t, string(seen.raw), `"outcome":"`)
			require.NotContains(t, string(seen.raw), `"worker"`)
			require.NotContains(t, string(seen.raw), detail, "of the attempts neither")
			require.Contains(t, string(known.raw), `"worker":"`)
		})
	}
}

// awaitExpiry waits until a task has expired, by the clock that workers and the API go by here.
func (s *system) awaitExpiry(t *testing.T, id string) {
	t.Helper()
	got := s.task(t, "/v1/tasks/"+id, asOperator)
	require.NotNil(t, got.Expires)
	require.Eventually(t, func() bool { return time.Now().After(*got.Expires) }, 30*time.Second, time.Millisecond)
}

func TestARevokedTaskSaysWhy(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.post("/v1/tasks", map[string]any{
		"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, "expires": "10ms",
	}, asOperator)
	require.Equal(t, 100, made.Code, "%s", made.raw)
	s.awaitExpiry(t, made.TaskID)
	s.work(t)
	got := s.task(t, "/v1/tasks/"+made.TaskID+"?wait=20s")
	require.Equal(t, "REVOKED", got.State)
	require.Contains(t, got.Error, "expired")
	require.Equal(t, got.Error, s.task(t, "/v1/tasks/"+made.TaskID, asOperator).Error)
}

func TestTaskOptions(t *testing.T) {
	t.Parallel()
	s := start(t)
	eta := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	made := s.post("/v1/tasks", map[string]any{
		"task": "demo.low", "args": map[string]int{"n": 1, "m": 2},
		"id": "my-own:id@1", "queue": "default", "eta": eta, "expires": "30m", "max_retries": 7,
		"backoff": map[string]any{"base": 1, "cap": "1m", "jitter": false}, "timeout": "5s", "retention": 60,
	}, asOperator)
	require.Equal(t, []any{100, "my-own:id@1"}, []any{made.Code, made.TaskID}, "%s", made.raw)
	got := s.task(t, "/v1/tasks/my-own:id@1", asOperator)
	require.Equal(t, []any{"default", "PENDING", 7}, []any{got.Queue, got.State, got.MaxRetries})
	require.Equal(t, eta, *got.ETA)
	require.Equal(t, eta, *got.NextRunAt)
	require.Equal(t, eta.Add(30*time.Minute), *got.Expires)

	again := s.post("/v1/tasks", map[string]any{
		"task": "demo.low", "args": map[string]int{"n": 3, "m": 4}, "id": "my-own:id@1", "queue": "default",
	}, asOperator)
	require.Equal(t, []any{200, 101, "my-own:id@1"}, []any{again.status, again.Code, again.TaskID}, "%s", again.raw)

	unique := map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, "unique_for": 60}
	first := s.post("/v1/tasks", unique, asOperator)
	second := s.post("/v1/tasks", unique, asOperator)
	require.Equal(t, []any{100, 101}, []any{first.Code, second.Code})
	require.Equal(t, first.TaskID, second.TaskID)
}

func TestAnETAInThePastRunsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.work(t)
	made := s.post("/v1/tasks", map[string]any{
		"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, "eta": "2001-01-01T00:00:00+08:00",
	}, asOperator)
	require.Equal(t, 3.0, s.task(t, "/v1/tasks/"+made.TaskID+"?wait=20s").Result)
}

func TestWaitEndsWithTheLastState(t *testing.T) {
	t.Parallel()
	draining := make(chan struct{})
	s := start(t, func(o *options) {
		o.Draining = func(context.Context) <-chan struct{} { return draining }
	})
	made := s.post("/v1/tasks", map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}}, asOperator)
	begun := time.Now()
	require.Equal(t, "PENDING", s.task(t, "/v1/tasks/"+made.TaskID+"?wait=300ms").State)
	require.GreaterOrEqual(t, time.Since(begun), 300*time.Millisecond)
	require.Equal(t, "PENDING", s.task(t, "/v1/tasks/"+made.TaskID+"?wait=1ns").State)

	begun = time.Now()
	time.AfterFunc(100*time.Millisecond, func() { close(draining) })
	require.Equal(t, "PENDING", s.task(t, "/v1/tasks/"+made.TaskID+"?wait=60s").State)
	require.Less(t, time.Since(begun), 30*time.Second)
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, err := ticks.NewStore(s.broker.Redis()).Announce(t.Context(), ticks.Plan{
		Hash:    "1",
		Entries: []ticks.Entry{{Name: "update-banners", Task: "refresh.banners", Queue: "cache", Spec: "every 10s", Timezone: "Asia/Shanghai"}},
	}, time.Now(), false)
	require.NoError(t, err)
	a := s.get("/v1/schedules", asOperator)
	require.Equal(t, 100, a.Code, "%s", a.raw)
	require.Contains(t, string(a.Data), `"name":"update-banners","task":"refresh.banners","queue":"cache","spec":"every 10s"`)
}

func TestWaitersDoNotOutliveTheirClients(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.post("/v1/tasks", map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}}, asOperator)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/v1/tasks/"+made.TaskID+"?wait=60s", nil)
	require.NoError(t, err)
	gone := make(chan error, 1)
	go func() {
		_, err := s.http.Do(r) //nolint:bodyclose // there is no answer
		gone <- err
	}()
	require.Eventually(t, func() bool { return s.metric(t, "paidui_http_requests_in_flight") == 1 }, 20*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-gone, context.Canceled)
	require.Eventually(t, func() bool { return s.metric(t, "paidui_http_requests_in_flight") == 0 }, 20*time.Second, time.Millisecond)
}

// metric is the sum of the metric's values, or of a histogram's counts.
func (s *system) metric(t *testing.T, name string, labels ...string) (sum float64) {
	t.Helper()
	families, err := s.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if !contains(fmt.Sprint(m.GetLabel()), labels...) {
				continue
			}
			sum += m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}
