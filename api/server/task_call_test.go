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
	a := s.Get(path, more...)
	require.Equal(t, 100, a.Code, "%s", a.Raw)
	a.Into(t, &got)
	return got
}

func TestATaskFromHTTPToItsResult(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.work(t)
	made := s.Post("/v1/tasks/", map[string]any{"task": "demo.add", "args": map[string]int{"n": 10, "m": 20}},
		asOperator, header("X-Request-ID", "from-the-client"))
	require.Equal(t, 100, made.Code, "%s", made.Raw)
	require.Regexp(t, "^default_", made.TaskID)
	require.Equal(t, "from-the-client", made.Header.Get("X-Request-ID"))

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
	made := s.Post("/v1/tasks", map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2},
		"id": "order-17", "tags": []string{"customer-4711"}}, asOperator)
	require.Equal(t, "order-17", made.TaskID, "%s", made.Raw)
	seen := s.task(t, "/v1/tasks/order-17?wait=20", asOperator)
	require.Equal(t, []any{"SUCCESS", 3.0, "demo.add"}, []any{seen.State, seen.Result, seen.Task})

	for _, who := range [][]with{nil, {bearer("someone")}} {
		guessed := s.Get("/v1/tasks/order-17?wait=1", who...)
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
	made := s.Post("/v1/tasks", map[string]any{
		"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, "expires": "10ms",
	}, asOperator)
	require.Equal(t, 100, made.Code, "%s", made.Raw)
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
	made := s.Post("/v1/tasks", map[string]any{
		"task": "demo.low", "args": map[string]int{"n": 1, "m": 2},
		"id": "my-own:id@1", "queue": "default", "eta": eta, "expires": "30m", "max_retries": 7,
		"backoff": map[string]any{"base": 1, "cap": "1m", "jitter": false}, "timeout": "5s", "retention": 60,
	}, asOperator)
	require.Equal(t, []any{100, "my-own:id@1"}, []any{made.Code, made.TaskID}, "%s", made.Raw)
	got := s.task(t, "/v1/tasks/my-own:id@1", asOperator)
	require.Equal(t, []any{"default", "PENDING", 7}, []any{got.Queue, got.State, got.MaxRetries})
	require.Equal(t, eta, *got.ETA)
	require.Equal(t, eta, *got.NextRunAt)
	require.Equal(t, eta.Add(30*time.Minute), *got.Expires)

	again := s.Post("/v1/tasks", map[string]any{
		"task": "demo.low", "args": map[string]int{"n": 3, "m": 4}, "id": "my-own:id@1", "queue": "default",
	}, asOperator)
	require.Equal(t, []any{200, 101, "my-own:id@1"}, []any{again.Status, again.Code, again.TaskID}, "%s", again.Raw)

	unique := map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, "unique_for": 60}
	first := s.Post("/v1/tasks", unique, asOperator)
	second := s.Post("/v1/tasks", unique, asOperator)
	require.Equal(t, []any{100, 101}, []any{first.Code, second.Code})
	require.Equal(t, first.TaskID, second.TaskID)
}

func TestAnETAInThePastRunsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.work(t)
	made := s.Post("/v1/tasks", map[string]any{
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
	made := s.Post("/v1/tasks", map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}}, asOperator)
	begun := time.Now()
	require.Equal(t, "PENDING", s.task(t, "/v1/tasks/"+made.TaskID+"?wait=300ms").State)
	require.GreaterOrEqual(t, time.Since(begun), 300*time.Millisecond)
	require.Equal(t, "PENDING", s.task(t, "/v1/tasks/"+made.TaskID+"?wait=1ns").State)

	begun = time.Now()
	time.AfterFunc(100*time.Millisecond, func() { close(draining) })
	require.Equal(t, "PENDING", s.task(t, "/v1/tasks/"+made.TaskID+"?wait=60s").State)
	require.Less(t, time.Since(begun), 30*time.Second)
}

// TestErrorsOfTasksAreForOperators, but for those that the application lets through: here those of demo.low.
func TestErrorsOfTasksAreForOperators(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	const detail = "dial tcp 10.0.0.1:3306: connect: connection refused"
	s.fail(t, func(mux *tasks.Mux) {
		for _, d := range []*tasks.Definition[demo.AddArgs, int]{demo.Add, demo.Low} {
			tasks.Handle(mux, d, func(context.Context, demo.AddArgs) (int, error) { return 0, tasks.Permanent(errors.New(detail)) })
		}
	})
	for task, public := range map[string]string{"demo.add": "the task failed", "demo.low": detail} {
		made := s.Post("/v1/tasks", map[string]any{"task": task, "args": map[string]int{"n": 1, "m": 2}, "queue": "default"}, asOperator)
		require.Equal(t, 100, made.Code, "%s", made.Raw)
		path := "/v1/tasks/" + made.TaskID
		require.Equal(t, "FAILURE", s.task(t, path+"?wait=20s").State)
		for _, who := range []with{bearer("someone"), bearer("user-ann")} {
			require.Equal(t, public, s.task(t, path, who, inEnglish).Error)
		}
		for _, who := range []with{asOperator, bearer("root")} {
			require.Equal(t, detail, s.task(t, path, who).Error)
		}
	}
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, err := ticks.NewStore(s.broker.Redis()).Announce(t.Context(), ticks.Plan{
		Hash:    "1",
		Entries: []ticks.Entry{{Name: "update-banners", Task: "refresh.banners", Queue: "cache", Spec: "every 10s", Timezone: "Asia/Shanghai"}},
	}, time.Now(), false)
	require.NoError(t, err)
	a := s.Get("/v1/schedules", asOperator)
	require.Equal(t, 100, a.Code, "%s", a.Raw)
	require.Contains(t, string(a.Data), `"name":"update-banners","source":"file","task":"refresh.banners","queue":"cache","spec":"every 10s"`)
}

func TestWaitersDoNotOutliveTheirClients(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.Post("/v1/tasks", map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}}, asOperator)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Base+"/v1/tasks/"+made.TaskID+"?wait=60s", nil)
	require.NoError(t, err)
	gone := make(chan error, 1)
	go func() {
		_, err := s.HTTP.Do(r) //nolint:bodyclose // there is no answer
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
