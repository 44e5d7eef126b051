package tasks

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
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
			d, history, metrics, ran := newFake(), &fakeHistory{}, newFakeMetrics(), false
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
			counted := metrics.of("test.job", "")
			want := map[string]int{}
			if c.state.Final() {
				want["ended:"+string(c.state)] = 1
			}
			if c.refusal != "" {
				want["refused:"+string(c.refusal)] = 1
			}
			maps.DeleteFunc(counted, func(name string, _ int) bool { return strings.HasPrefix(name, "took:") })
			require.Equal(t, want, counted)
			require.Equal(t, c.refusal == "" && name != "poison that another has", ran)
		})
	}
}
