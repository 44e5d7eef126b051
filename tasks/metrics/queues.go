package metrics

import (
	"context"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/paidui/paidui/tasks/broker"
)

// Queues reports the size of every queue each time metrics are read: paidui_queue_tasks{queue,set}, by the set of
// Redis that its tasks are in, which is asynq's word and coarser here and finer there than a task's state,
// paidui_queue_latency_seconds{queue}, the age of the oldest task that waits, and paidui_queue_workers{queue}, the workers
// that live. paidui_tasks_taken_over_total{reason} and paidui_queue_faults_total{fault} are this process's.
type Queues struct {
	broker    *broker.Broker
	inspector *asynq.Inspector
	logger    *slog.Logger
	size      *prometheus.Desc
	latency   *prometheus.Desc
	workers   *prometheus.Desc
	taken     *prometheus.Desc
	faults    *prometheus.Desc
}

// NewQueues makes a collector, to be registered by the caller.
func NewQueues(b *broker.Broker, logger *slog.Logger) *Queues {
	return &Queues{
		broker:    b,
		inspector: asynq.NewInspectorFromRedisClient(b.Redis()),
		logger:    logger,
		size: prometheus.NewDesc("paidui_queue_tasks",
			"Tasks in a queue, by the set of Redis that they are in.", []string{"queue", "set"}, nil),
		latency: prometheus.NewDesc("paidui_queue_latency_seconds",
			"Age of the oldest pending task of a queue.", []string{"queue"}, nil),
		workers: prometheus.NewDesc("paidui_queue_workers",
			"Workers that live and serve a queue.", []string{"queue"}, nil),
		taken: prometheus.NewDesc("paidui_tasks_taken_over_total",
			"Tasks that this process took over: from workers that died, or as their leases had ended and no life had them.", []string{"reason"}, nil),
		faults: prometheus.NewDesc("paidui_queue_faults_total",
			"Contradictions between queues' lists and tasks that this process's checks have found. All but unowned are mended.", []string{"fault"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (q *Queues) Describe(ch chan<- *prometheus.Desc) {
	ch <- q.size
	ch <- q.latency
	ch <- q.workers
	ch <- q.taken
	ch <- q.faults
}

// scrapeLimit bounds how long our own questions may take.
const scrapeLimit = 5 * time.Second

// Collect implements prometheus.Collector. Without Redis it reports only what was taken over.
func (q *Queues) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	died, lapsed := q.broker.TakenOver()
	ch <- prometheus.MustNewConstMetric(q.taken, prometheus.CounterValue, float64(died), "died")
	ch <- prometheus.MustNewConstMetric(q.taken, prometheus.CounterValue, float64(lapsed), "lease")
	for fault, n := range q.broker.Faults() {
		ch <- prometheus.MustNewConstMetric(q.faults, prometheus.CounterValue, float64(n), string(fault))
	}
	queues, err := q.inspector.Queues()
	if err != nil {
		q.logger.Warn("queue metrics are missing", "error", err)
		return
	}
	workers, err := q.broker.Workers(ctx, queues)
	if err != nil {
		q.logger.Warn("queue metrics are missing", "error", err)
	}
	for name, n := range workers {
		ch <- prometheus.MustNewConstMetric(q.workers, prometheus.GaugeValue, float64(n), name)
	}
	for _, name := range queues {
		info, err := q.inspector.GetQueueInfo(name)
		if err != nil {
			q.logger.Warn("queue metrics are missing", "queue", name, "error", err)
			continue
		}
		others, since, err := q.broker.Prioritized(ctx, name)
		if err != nil {
			q.logger.Warn("queue metrics are missing", "queue", name, "error", err)
			continue
		}
		latency := info.Latency
		if !since.IsZero() {
			latency = max(latency, time.Since(since))
		}
		for set, n := range map[string]int{
			"pending": info.Pending + others, "active": info.Active, "scheduled": info.Scheduled,
			"retry": info.Retry, "archived": info.Archived, "completed": info.Completed,
		} {
			ch <- prometheus.MustNewConstMetric(q.size, prometheus.GaugeValue, float64(n), name, set)
		}
		ch <- prometheus.MustNewConstMetric(q.latency, prometheus.GaugeValue, latency.Seconds(), name)
	}
}
