package tasks

import (
	"context"
	"sync/atomic"
	"time"
)

// Metrics counts and times what muxes do, by task and queue. Package tasks/metrics has it for Prometheus. It is safe for
// concurrent use.
type Metrics interface {
	// Series are those of one task in one queue. It is called once for each definition when its handler is bound, so that
	// the first increase is seen, and for others when they come; a mux keeps what it returns.
	Series(task, queue string) MetricSeries
}

// MetricSeries are the metrics of one task in one queue.
type MetricSeries interface {
	// Running adds to the attempts that hold a slot: 1 or -1.
	Running(by int)
	// Took is an attempt's time, and its outcome: success, retry, snooze, failure (the task has ended), revoked (terminated
	// by a caller) or interrupted (the worker ends).
	Took(outcome string, d time.Duration)
	// Ended counts a task that has ended, by its final state.
	Ended(state State)
	// Refused counts an attempt that ended without its handler. reason is one of Refusals.
	Refused(reason string)
	// Stuck adds to the handlers that lost their slot and have not returned: 1 or -1.
	Stuck(by int)
	// HardTimeout counts an attempt that ended at its hard time limit.
	HardTimeout()
}

// Outcomes are those of MetricSeries.Took.
func Outcomes() []string {
	return []string{string(succeeded), string(retrying), string(snoozed), string(failed), string(revoked), string(interrupted)}
}

// Refusals are the reasons for which an attempt ends without its handler: revoked, expired, poison (its worker died too
// often), exhausted (the last attempt ignored its time limit), no_handler, no_client (it has callbacks, and this worker no
// client) and the like.
func Refusals() []string {
	var all []string
	for _, r := range refusals() {
		all = append(all, string(r))
	}
	return all
}

// measure wraps a handler of a mux that has metrics.
func (m *Mux) measure(next Handler) Handler {
	return func(ctx context.Context, t *Task, args []byte) ([]byte, error) {
		one := &measurement{series: m.seriesOf(t.Name, t.Queue)}
		t.run.measured.Store(one)
		one.series.Running(1)
		begun := time.Now()
		result, err := next(ctx, t, args)
		one.end(t.outcome(ctx, err), time.Since(begun))
		return result, err
	}
}

// count counts the end of an attempt. It is called once the end is sure to count.
func (m *Mux) count(a *attempt, v verdict) {
	if m.metrics == nil || v.outcome == interrupted {
		return
	}
	var series MetricSeries
	if ran := a.measured.Load(); ran != nil {
		series = ran.series
	} else {
		series = m.seriesOf(a.Name, a.Queue)
	}
	if v.refusal != "" {
		series.Refused(string(v.refusal))
	}
	switch v.outcome {
	case succeeded:
		series.Ended(StateSuccess)
	case failed:
		series.Ended(StateFailure)
	case revoked:
		series.Ended(StateRevoked)
	}
}

type taskQueue struct{ task, queue string }

// seriesOf keeps the series, so that an attempt does not look them up by their labels.
func (m *Mux) seriesOf(task, queue string) MetricSeries {
	key := taskQueue{task, queue}
	if s, ok := m.series.Load(key); ok {
		return s.(MetricSeries)
	}
	s, _ := m.series.LoadOrStore(key, m.metrics.Series(task, queue))
	return s.(MetricSeries)
}

// measurement is one attempt's part in the metrics. A nil one counts nothing.
type measurement struct {
	series  MetricSeries
	counted atomic.Bool // the attempt has an outcome
}

// end counts an attempt, once: when its handler returns or when it is abandoned.
func (m *measurement) end(o outcome, took time.Duration) {
	if m == nil || !m.counted.CompareAndSwap(false, true) {
		return
	}
	m.series.Running(-1)
	m.series.Took(string(o), took)
}

// abandon counts a handler that has lost its slot.
func (m *measurement) abandon(o outcome, took time.Duration, hardLimit bool) {
	if m == nil {
		return
	}
	m.end(o, took)
	m.series.Stuck(1)
	if hardLimit {
		m.series.HardTimeout()
	}
}

// returned counts an abandoned handler that has returned.
func (m *measurement) returned() {
	if m != nil {
		m.series.Stuck(-1)
	}
}
