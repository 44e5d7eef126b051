package tasks

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts and times what a mux does, by task and queue:
//
//   - paidui_tasks_ended_total: tasks that have ended, also by state, as the history has it: SUCCESS, FAILURE or REVOKED,
//     whether their last attempt ran or was refused
//   - paidui_task_attempts_refused_total: attempts that ended without their handler, also by reason: revoked, expired,
//     poison (its worker died too often), exhausted (the last attempt ignored its time limit), no_handler or no_client (it
//     has callbacks, and this worker no client)
//   - paidui_task_duration_seconds: a histogram of handlers, also by outcome: success, retry, snooze, failure (the task has
//     ended), revoked (terminated by a caller) or interrupted (the worker ends)
//   - paidui_tasks_running: attempts that hold a slot
//   - paidui_task_handlers_stuck: handlers that lost their slot and have not returned
//   - paidui_task_hard_timeouts_total: attempts that ended at their hard time limit
//
// Muxes may share one. A nil one counts nothing.
type Metrics struct {
	ended    *prometheus.CounterVec
	refused  *prometheus.CounterVec
	duration *prometheus.HistogramVec
	running  *prometheus.GaugeVec
	stuck    *prometheus.GaugeVec
	timeouts *prometheus.CounterVec
	series   sync.Map // taskQueue: *taskSeries
}

// NewMetrics makes metrics, for MuxOptions, and registers them.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"task", "queue"}, more...))
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"task", "queue"})
	}
	m := &Metrics{
		ended:   counter("paidui_tasks_ended_total", "Tasks that have ended, by final state.", "state"),
		refused: counter("paidui_task_attempts_refused_total", "Attempts that ended without their handler.", "reason"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "paidui_task_duration_seconds",
			Help:    "Time that one attempt of a task took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 10, 60, 300, 600},
		}, []string{"task", "queue", "outcome"}),
		running:  gauge("paidui_tasks_running", "Attempts running in this worker."),
		stuck:    gauge("paidui_task_handlers_stuck", "Handlers that ignored the end of their context, lost their slot and have not returned."),
		timeouts: counter("paidui_task_hard_timeouts_total", "Attempts that were ended at their hard time limit."),
	}
	for _, c := range []prometheus.Collector{m.ended, m.refused, m.duration, m.running, m.stuck, m.timeouts} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register task metrics: %w", err)
		}
	}
	return m, nil
}

// measure wraps the handlers of a mux.
func (m *Metrics) measure(next Handler) Handler {
	return func(ctx context.Context, t *Task, args []byte) ([]byte, error) {
		one := &measurement{series: m.of(t)}
		t.run.measured.Store(one)
		one.series.running.Inc()
		begun := time.Now()
		result, err := next(ctx, t, args)
		one.end(t.outcome(ctx, err), time.Since(begun))
		return result, err
	}
}

// count counts the end of an attempt. It is called once the end is sure to count.
func (m *Metrics) count(a *attempt, v verdict) {
	if m == nil || v.outcome == interrupted {
		return
	}
	var series *taskSeries
	if ran := a.measured.Load(); ran != nil {
		series = ran.series
	} else {
		series = m.of(&a.Task)
	}
	if v.refusal != "" {
		m.refused.WithLabelValues(a.Name, a.Queue, string(v.refusal)).Inc()
	}
	if ended, ok := series.ended[v.outcome]; ok {
		ended.Inc()
	}
}

type taskQueue struct{ task, queue string }

// taskSeries are the metrics of one task and queue, so that an attempt does not look them up by their labels.
type taskSeries struct {
	running  prometheus.Gauge
	stuck    prometheus.Gauge
	timeouts prometheus.Counter
	duration map[outcome]func() prometheus.Observer // makes the series when there is something to observe
	ended    map[outcome]prometheus.Counter
}

func (m *Metrics) of(t *Task) *taskSeries {
	key := taskQueue{t.Name, t.Queue}
	if s, ok := m.series.Load(key); ok {
		return s.(*taskSeries)
	}
	return m.newSeries(key)
}

// expect makes the counters of a task that may come, so that their first increase is seen.
func (m *Metrics) expect(task, queue string) {
	m.newSeries(taskQueue{task, queue})
	for _, reason := range refusals() {
		m.refused.WithLabelValues(task, queue, string(reason))
	}
}

func (m *Metrics) newSeries(key taskQueue) *taskSeries {
	s := &taskSeries{
		running:  m.running.WithLabelValues(key.task, key.queue),
		stuck:    m.stuck.WithLabelValues(key.task, key.queue),
		timeouts: m.timeouts.WithLabelValues(key.task, key.queue),
		duration: make(map[outcome]func() prometheus.Observer),
		ended:    make(map[outcome]prometheus.Counter),
	}
	for _, o := range []outcome{succeeded, retrying, snoozed, failed, revoked, interrupted} {
		s.duration[o] = sync.OnceValue(func() prometheus.Observer {
			return m.duration.WithLabelValues(key.task, key.queue, string(o))
		})
	}
	for o, state := range map[outcome]State{succeeded: StateSuccess, failed: StateFailure, revoked: StateRevoked} {
		s.ended[o] = m.ended.WithLabelValues(key.task, key.queue, string(state))
	}
	known, _ := m.series.LoadOrStore(key, s)
	return known.(*taskSeries)
}

// measurement is one attempt's part in the metrics. A nil one counts nothing.
type measurement struct {
	series  *taskSeries
	counted atomic.Bool // the attempt has an outcome
}

// end counts an attempt, once: when its handler returns or when it is abandoned.
func (m *measurement) end(o outcome, took time.Duration) {
	if m == nil || !m.counted.CompareAndSwap(false, true) {
		return
	}
	m.series.running.Dec()
	m.series.duration[o]().Observe(took.Seconds())
}

// abandon counts a handler that has lost its slot.
func (m *measurement) abandon(o outcome, took time.Duration, hardLimit bool) {
	if m == nil {
		return
	}
	m.end(o, took)
	m.series.stuck.Inc()
	if hardLimit {
		m.series.timeouts.Inc()
	}
}

// returned counts an abandoned handler that has returned.
func (m *measurement) returned() {
	if m != nil {
		m.series.stuck.Dec()
	}
}
