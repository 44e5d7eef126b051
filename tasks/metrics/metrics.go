// Package metrics shows Prometheus what workers and queues do.
package metrics

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/paidui/paidui/tasks"
)

// Tasks counts and times what muxes do, by task and queue:
//
//   - paidui_tasks_ended_total: tasks that have ended, also by state, as the history has it: SUCCESS, FAILURE or REVOKED,
//     whether their last attempt ran or was refused
//   - paidui_task_attempts_refused_total: attempts that ended without their handler, also by reason, one of tasks.Refusals
//   - paidui_task_duration_seconds: a histogram of handlers, also by outcome: see tasks.MetricSeries
//   - paidui_tasks_running: attempts that hold a slot
//   - paidui_task_handlers_stuck: handlers that lost their slot and have not returned
//   - paidui_task_hard_timeouts_total: attempts that ended at their hard time limit
//
// Muxes may share one. It implements tasks.Metrics.
type Tasks struct {
	ended    *prometheus.CounterVec
	refused  *prometheus.CounterVec
	duration *prometheus.HistogramVec
	running  *prometheus.GaugeVec
	stuck    *prometheus.GaugeVec
	timeouts *prometheus.CounterVec
}

// NewTasks makes metrics, for tasks.MuxOptions, and registers them.
func NewTasks(reg prometheus.Registerer) (*Tasks, error) {
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"task", "queue"}, more...))
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"task", "queue"})
	}
	m := &Tasks{
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

// Series implements tasks.Metrics.
func (m *Tasks) Series(task, queue string) tasks.MetricSeries {
	s := &series{
		metrics:  m,
		task:     task,
		queue:    queue,
		running:  m.running.WithLabelValues(task, queue),
		stuck:    m.stuck.WithLabelValues(task, queue),
		timeouts: m.timeouts.WithLabelValues(task, queue),
		ended:    make(map[tasks.State]prometheus.Counter),
		duration: make(map[string]func() prometheus.Observer),
	}
	for _, state := range []tasks.State{tasks.StateSuccess, tasks.StateFailure, tasks.StateRevoked} {
		s.ended[state] = m.ended.WithLabelValues(task, queue, string(state))
	}
	for _, o := range tasks.Outcomes() {
		s.duration[o] = sync.OnceValue(func() prometheus.Observer { return m.duration.WithLabelValues(task, queue, o) })
	}
	for _, reason := range tasks.Refusals() {
		m.refused.WithLabelValues(task, queue, reason)
	}
	return s
}

// series implements tasks.MetricSeries.
type series struct {
	metrics     *Tasks
	task, queue string
	running     prometheus.Gauge
	stuck       prometheus.Gauge
	timeouts    prometheus.Counter
	ended       map[tasks.State]prometheus.Counter
	duration    map[string]func() prometheus.Observer // by outcome; makes the series when there is something to observe
}

func (s *series) Running(by int) { s.running.Add(float64(by)) }

func (s *series) Stuck(by int) { s.stuck.Add(float64(by)) }

func (s *series) HardTimeout() { s.timeouts.Inc() }

func (s *series) Ended(state tasks.State) { s.ended[state].Inc() }

func (s *series) Refused(reason string) {
	s.metrics.refused.WithLabelValues(s.task, s.queue, reason).Inc()
}

func (s *series) Took(outcome string, d time.Duration) { s.duration[outcome]().Observe(d.Seconds()) }
