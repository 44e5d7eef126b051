package tasks

import (
	"context"
	"fmt"
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
	return func(next Handler) Handler {
		return func(ctx context.Context, t *Task, args []byte) ([]byte, error) {
			now := running.WithLabelValues(t.Name, t.Queue)
			now.Inc()
			defer now.Dec()
			begun := time.Now()
			result, err := next(ctx, t, args)
			outcome := t.outcome(ctx, err)
			duration.WithLabelValues(t.Name, t.Queue, string(outcome)).Observe(time.Since(begun).Seconds())
			return result, err
		}
	}, nil
}
