package tasks

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics is a middleware that counts and times attempts: the histogram paidui_task_duration_seconds and the gauge
// paidui_tasks_running, by task and queue; the histogram also by outcome: success, retry, failure (the task
// has ended) or interrupted (the worker ends).
func Metrics(reg prometheus.Registerer) (Middleware, error) {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "paidui_task_duration_seconds",
		Help:    "Time that one attempt of a task took.",
		Buckets: prometheus.ExponentialBucketsRange(0.001, 600, 14),
	}, []string{"task", "queue", "outcome"})
	running := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "paidui_tasks_running",
		Help: "Attempts running in this worker.",
	}, []string{"task", "queue"})
	for _, c := range []prometheus.Collector{duration, running} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register task metrics: %w", err)
		}
	}
	known := &taskMetrics{duration: duration, running: running}
	return func(next Handler) Handler {
		return func(ctx context.Context, t *Task, args []byte) ([]byte, error) {
			m := known.of(t)
			m.running.Inc()
			defer m.running.Dec()
			begun := time.Now()
			result, err := next(ctx, t, args)
			m.duration[t.outcome(ctx, err)].Observe(time.Since(begun).Seconds())
			return result, err
		}
	}, nil
}

// taskMetrics keeps the metrics of each task and queue, so that an attempt does not look them up by their labels.
type taskMetrics struct {
	duration *prometheus.HistogramVec
	running  *prometheus.GaugeVec
	series   sync.Map // taskQueue: taskSeries
}

type taskQueue struct{ task, queue string }

type taskSeries struct {
	running  prometheus.Gauge
	duration map[outcome]prometheus.Observer
}

func (m *taskMetrics) of(t *Task) taskSeries {
	key := taskQueue{t.Name, t.Queue}
	if s, ok := m.series.Load(key); ok {
		return s.(taskSeries)
	}
	s := taskSeries{running: m.running.WithLabelValues(t.Name, t.Queue), duration: make(map[outcome]prometheus.Observer)}
	for _, o := range []outcome{succeeded, retrying, failed, interrupted} {
		s.duration[o] = m.duration.WithLabelValues(t.Name, t.Queue, string(o))
	}
	m.series.Store(key, s)
	return s
}
