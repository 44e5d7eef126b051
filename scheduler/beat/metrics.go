package beat

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What became of a tick, as the label outcome counts it.
const (
	tickEnqueued  = "enqueued"  // by this scheduler
	tickDuplicate = "duplicate" // another scheduler was first
	tickCoalesced = "coalesced" // a unique task that is unfinished stands for it
	tickFailed    = "failed"    // it could not be enqueued, and will not be
	tickMissed    = "missed"    // dropped by the misfire rule
	tickOverlap   = "overlap"   // left out: the task of the tick before had not ended
)

type metrics struct {
	ticks    *prometheus.CounterVec
	lateness *prometheus.HistogramVec
	reload   prometheus.Gauge
	inForce  prometheus.Gauge
}

// newMetrics registers the scheduler's metrics; a nil registerer means that nobody reads them.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		ticks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "paidui_schedule_ticks_total",
			Help: "Ticks by schedule and by what became of them at this scheduler.",
		}, []string{"schedule", "outcome"}),
		lateness: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "paidui_schedule_lateness_seconds",
			Help:    "Time from a tick to its task being in the queue, by schedule, for ticks that this scheduler enqueued.",
			Buckets: []float64{.01, .05, .1, .5, 1, 5, 30, 300, 3600}, // few: each schedule has its own
		}, []string{"schedule"}),
		reload: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "paidui_schedule_reload_success",
			Help: "1 when the file of schedules was right the last time it was read, 0 when it was not.",
		}),
		inForce: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "paidui_schedule_in_force",
			Help: "1 when this scheduler's schedule is the one in force, 0 when it stands by.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.ticks, m.lateness, m.reload, m.inForce} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("scheduler metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) count(schedule, outcome string, n int) {
	if n > 0 {
		m.ticks.WithLabelValues(schedule, outcome).Add(float64(n))
	}
}

func (m *metrics) late(schedule string, d time.Duration) {
	m.lateness.WithLabelValues(schedule).Observe(d.Seconds())
}

// forget drops the series of schedules that are gone.
func (m *metrics) forget(old, kept *Schedule) {
	for _, e := range old.Entries() {
		if _, ok := kept.Find(e.Name); !ok {
			m.ticks.DeletePartialMatch(prometheus.Labels{"schedule": e.Name})
			m.lateness.DeleteLabelValues(e.Name)
		}
	}
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
