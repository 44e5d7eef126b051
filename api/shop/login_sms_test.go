package shop_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/demo"
	"github.com/paidui/paidui/tasks/sms"
	"github.com/paidui/paidui/tasks/taskstest"
)

// task is a part of what the API answers of one.
type task struct{ State, Error string }

func (s *system) task(t *testing.T, path string, more ...with) (got task) {
	t.Helper()
	a := s.Get(path, more...)
	require.Equal(t, 100, a.Code, "%s", a.Raw)
	a.Into(t, &got)
	return got
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
			s := &system{Client: s.On(t)}
			made := s.Post("/v1/tasks", test.body, asOperator)
			require.Equal(t, 100, made.Code, "%s", made.Raw)
			path := "/v1/tasks/" + made.TaskID
			require.Eventually(t, func() bool { return s.task(t, path).State == test.state }, 20*time.Second, 10*time.Millisecond)
			require.Equal(t, test.chinese, s.task(t, path).Error)
			require.Equal(t, test.english, s.task(t, path, inEnglish).Error)
			require.Equal(t, test.chinese, s.task(t, path, bearer("someone")).Error)
			require.Equal(t, test.raw, s.task(t, path, asOperator).Error)
			seen, known := s.Get(path), s.Get(path, asOperator)
			require.Contains(t, string(seen.Raw), `"outcome":"`)
			require.NotContains(t, string(seen.Raw), `"worker"`)
			require.NotContains(t, string(seen.Raw), detail, "of the attempts neither")
			require.Contains(t, string(known.Raw), `"worker":"`)
		})
	}
}
