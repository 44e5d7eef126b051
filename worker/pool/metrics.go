package pool

import (
	"log/slog"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/paidui/paidui/tasks/broker"
)

// QueueMetrics reports the size of every queue, by state, each time metrics are read: paidui_queue_tasks{queue,state}
// and paidui_queue_latency_seconds{queue}, the age of the oldest task that waits.
type QueueMetrics struct {
	inspector *asynq.Inspector
	logger    *slog.Logger
	size      *prometheus.Desc
	latency   *prometheus.Desc
}

// NewQueueMetrics makes a collector, to be registered by the caller.
func NewQueueMetrics(b *broker.Broker, logger *slog.Logger) *QueueMetrics {
	return &QueueMetrics{
		inspector: asynq.NewInspectorFromRedisClient(b.Redis()),
		logger:    logger,
		size: prometheus.NewDesc("paidui_queue_tasks",
			"Tasks in a queue, by asynq's state.", []string{"queue", "state"}, nil),
		latency: prometheus.NewDesc("paidui_queue_latency_seconds",
			"Age of the oldest pending task of a queue.", []string{"queue"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (q *QueueMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- q.size
	ch <- q.latency
}

// Collect implements prometheus.Collector. Without Redis it reports nothing.
func (q *QueueMetrics) Collect(ch chan<- prometheus.Metric) {
	queues, err := q.inspector.Queues()
	if err != nil {
		q.logger.Warn("queue metrics are missing", "error", err)
		return
	}
	for _, name := range queues {
		info, err := q.inspector.GetQueueInfo(name)
		if err != nil {
			q.logger.Warn("queue metrics are missing", "queue", name, "error", err)
			continue
		}
		for state, n := range map[string]int{
			"pending": info.Pending, "active": info.Active, "scheduled": info.Scheduled,
			"retry": info.Retry, "archived": info.Archived, "completed": info.Completed,
		} {
			ch <- prometheus.MustNewConstMetric(q.size, prometheus.GaugeValue, float64(n), name, state)
		}
		ch <- prometheus.MustNewConstMetric(q.latency, prometheus.GaugeValue, info.Latency.Seconds(), name)
	}
}
