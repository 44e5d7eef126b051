package tasks

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics is a middleware that counts and times attempts, by task and queue:
//
//   - paidui_task_duration_seconds: a histogram, also by outcome: success, retry, snooze, failure (the task has ended),
//     revoked (terminated by a caller) or interrupted (the worker ends)
//   - paidui_tasks_running: attempts that hold a slot
//   - paidui_task_handlers_stuck: handlers that lost their slot and have not returned
//   - paidui_task_hard_timeouts_total: attempts that ended at their hard time limit
func Metrics(reg prometheus.Registerer) (Middleware, error) {
	labels := []string{"task", "queue"}
	known := &taskMetrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "paidui_task_duration_seconds",
			Help:    "Time that one attempt of a task took.",
			Buckets: prometheus.ExponentialBucketsRange(0.001, 600, 14),
		}, []string{"task", "queue", "outcome"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "paidui_tasks_running",
			Help: "Attempts running in this worker.",
		}, labels),
		stuck: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "paidui_task_handlers_stuck",
			Help: "Handlers that ignored the end of their context, lost their slot and have not returned.",
		}, labels),
		timeouts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "paidui_task_hard_timeouts_total",
			Help: "Attempts that were ended at their hard time limit.",
		}, labels),
	}
	for _, c := range []prometheus.Collector{known.duration, known.running, known.stuck, known.timeouts} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register task metrics: %w", err)
		}
	}
	return func(next Handler) Handler {
		return func(ctx context.Context, t *Task, args []byte) ([]byte, error) {
			m := &measurement{series: known.of(t)}
			t.run.measured.Store(m)
			m.series.running.Inc()
			begun := time.Now()
			result, err := next(ctx, t, args)
			m.end(t.outcome(ctx, err), time.Since(begun))
			return result, err
		}
	}, nil
}

// taskMetrics keeps the metrics of each task and queue, so that an attempt does not look them up by their labels.
type taskMetrics struct {
	duration *prometheus.HistogramVec
	running  *prometheus.GaugeVec
	stuck    *prometheus.GaugeVec
	timeouts *prometheus.CounterVec
	series   sync.Map // taskQueue: *taskSeries
}

type taskQueue struct{ task, queue string }

type taskSeries struct {
	running  prometheus.Gauge
	stuck    prometheus.Gauge
	timeouts prometheus.Counter
	duration map[outcome]prometheus.Observer
}

func (m *taskMetrics) of(t *Task) *taskSeries {
	key := taskQueue{t.Name, t.Queue}
	if s, ok := m.series.Load(key); ok {
		return s.(*taskSeries)
	}
	s := &taskSeries{
		running:  m.running.WithLabelValues(t.Name, t.Queue),
		stuck:    m.stuck.WithLabelValues(t.Name, t.Queue),
		timeouts: m.timeouts.WithLabelValues(t.Name, t.Queue),
		duration: make(map[outcome]prometheus.Observer),
	}
	for _, o := range []outcome{succeeded, retrying, snoozed, failed, revoked, interrupted} {
		s.duration[o] = m.duration.WithLabelValues(t.Name, t.Queue, string(o))
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
	m.series.duration[o].Observe(took.Seconds())
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
