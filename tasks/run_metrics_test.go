package tasks

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// TestMetricsCountWhatTheHistoryTells runs one attempt of each kind: what has ended is counted once, under the state that the
// history was told, whether its handler ran or not.
func TestMetricsCountWhatTheHistoryTells(t *testing.T) {
	t.Parallel()
	past := millis(time.Now().Add(-time.Minute))
	for name, c := range map[string]struct {
		headers map[string]string
		change  func(a *attempt, d *fakeDelivery)
		result  error   // the handler's
		state   State   // that the history is told; "" when it is told nothing
		refusal refusal // "" when the handler runs
	}{
		"success":                {state: StateSuccess},
		"failure":                {result: Permanent(errors.New("no")), state: StateFailure},
		"retry":                  {change: func(a *attempt, _ *fakeDelivery) { a.MaxRetries = 3 }, result: errors.New("again"), state: StateRetry},
		"snooze":                 {result: Snooze(time.Second), state: StateRetry},
		"revoked while it ran":   {change: func(_ *attempt, d *fakeDelivery) { d.crashes = -1 }, result: errors.New("stopped"), state: StateRevoked},
		"another has it by now":  {change: func(_ *attempt, d *fakeDelivery) { d.lost = ErrFenced }},
		"revoked":                {change: func(_ *attempt, d *fakeDelivery) { d.terminate("by hand") }, state: StateRevoked, refusal: refusedRevoked},
		"expired":                {headers: map[string]string{headerExpires: past}, state: StateRevoked, refusal: refusedExpired},
		"poison":                 {change: func(_ *attempt, d *fakeDelivery) { d.crashes = 1000 }, state: StateFailure, refusal: refusedPoison},
		"exhausted":              {change: func(a *attempt, _ *fakeDelivery) { a.Attempt = 2 }, state: StateFailure, refusal: refusedExhausted},
		"no client":              {headers: map[string]string{headerOnSuccess: "[]"}, state: StateFailure, refusal: refusedCallbacks},
		"no handler, no retries": {change: func(a *attempt, _ *fakeDelivery) { a.binding = nil }, state: StateFailure, refusal: refusedUnknown},
		"no handler": {change: func(a *attempt, _ *fakeDelivery) { a.binding, a.MaxRetries = nil, 3 },
			state: StateRetry, refusal: refusedUnknown},
		"poison that another has": {change: func(_ *attempt, d *fakeDelivery) { d.crashes, d.lost = 1000, ErrFenced }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			metrics, err := NewMetrics(prometheus.NewPedanticRegistry())
			require.NoError(t, err)
			d, history, ran := newFake(), &fakeHistory{}, false
			m := fakeMux(d, MuxOptions{Metrics: metrics, History: history})
			job(t, m, func(context.Context) (string, error) {
				ran = true
				if d.crashes < 0 {
					d.terminate("by hand")
				}
				return "", c.result
			})
			task := asynq.NewTaskWithHeaders("test.job", []byte(`{}`), c.headers)
			a := m.newAttempt(t.Context(), task)
			if c.change != nil {
				c.change(a, d)
			}
			v, refused := a.refuse(t.Context())
			if !refused {
				v = a.run(t.Context())
			}
			_ = a.end(t.Context(), task, v) // it is asynq's to understand

			var told []State
			if c.state != "" {
				told = []State{c.state}
			}
			require.Equal(t, told, append([]State(nil), history.states()...))
			for _, state := range []State{StateSuccess, StateFailure, StateRevoked} {
				want := 0.0
				if state == c.state {
					want = 1
				}
				require.Equal(t, want, testutil.ToFloat64(metrics.ended.WithLabelValues("test.job", "", string(state))), state)
			}
			for _, reason := range refusals() {
				want := 0.0
				if reason == c.refusal {
					want = 1
				}
				require.Equal(t, want, testutil.ToFloat64(metrics.refused.WithLabelValues("test.job", "", string(reason))), reason)
			}
			require.Equal(t, c.refusal == "" && name != "poison that another has", ran)
			require.Zero(t, testutil.ToFloat64(metrics.running.WithLabelValues("test.job", "")))
		})
	}
}

// TestSeriesOfWhatHappened: a counter is there from the start, so that its first increase is seen; a histogram, which has
// many series, when there is something in it.
func TestSeriesOfWhatHappened(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	metrics, err := NewMetrics(registry)
	require.NoError(t, err)
	d := newFake()
	m := fakeMux(d, MuxOptions{Metrics: metrics})
	job(t, m, func(context.Context) (string, error) { return "", nil })
	series := func(name string) (n int) {
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == name {
				n = len(f.GetMetric())
			}
		}
		return n
	}
	require.Equal(t, len(refusals()), series("paidui_task_attempts_refused_total"))
	require.Equal(t, 3, series("paidui_tasks_ended_total"))
	require.Zero(t, series("paidui_task_duration_seconds"))

	task := asynq.NewTask("test.job", []byte(`{}`))
	a := m.newAttempt(t.Context(), task)
	_ = a.end(t.Context(), task, a.run(t.Context()))
	require.Equal(t, 1, series("paidui_task_duration_seconds"), "one outcome")
}
