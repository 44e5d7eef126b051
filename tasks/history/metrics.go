package history

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Why records are dropped.
const (
	dropFull    = "full"    // the buffer was full, and the database away or too slow
	dropRefused = "refused" // the database refuses the record, without arguments and result, too
	dropInvalid = "invalid" // no task can have the record's id or state
	dropClosed  = "closed"  // it came after the Writer was closed, or could not be written before it had to end
)

type metrics struct {
	written prometheus.Counter
	dropped *prometheus.CounterVec
	reduced prometheus.Counter
	flush   prometheus.Histogram
}

// newMetrics registers them, unless reg is nil. buffered is read with every scrape.
func newMetrics(reg prometheus.Registerer, buffered func() float64) (*metrics, error) {
	m := &metrics{
		written: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "paidui_history_written_total",
			Help: "Records written, or found to be known already. Records of one task that came together count once.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "paidui_history_dropped_total",
			Help: "Records that are missing in the history, by reason.",
		}, []string{"reason"}),
		reduced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "paidui_history_reduced_total",
			Help: "Records that the database refuses as they are, and that are kept without arguments and result.",
		}),
		flush: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "paidui_history_flush_seconds",
			Help:    "Time that writing a batch took, failed or not.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	for _, reason := range []string{dropFull, dropRefused, dropInvalid, dropClosed} {
		m.dropped.WithLabelValues(reason)
	}
	if reg == nil {
		return m, nil
	}
	size := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "paidui_history_buffered",
		Help: "Records that wait to be written.",
	}, buffered)
	for _, c := range []prometheus.Collector{m.written, m.dropped, m.reduced, m.flush, size} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register history metrics: %w", err)
		}
	}
	return m, nil
}

// What a Settler did with the record of a task that had not ended.
const (
	asChanged = "changed" // Redis knew better
	asLost    = "lost"    // Redis has forgotten the task
	asEnded   = "ended"   // of a bundle: the task had a record of its own
	asRow     = "row"     // of a bundle: it is a row now
	asRefused = "refused" // of a bundle: the database refuses the row, which is dropped; it counts as row, too
)

type settlerMetrics struct{ settled *prometheus.CounterVec }

func newSettlerMetrics(reg prometheus.Registerer) (*settlerMetrics, error) {
	m := &settlerMetrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "paidui_history_settled_total",
		Help: "Records of tasks that waited, by what came of them.",
	}, []string{"as"})}
	for _, as := range []string{asEnded, asChanged, asLost, asRow, asRefused} {
		m.settled.WithLabelValues(as)
	}
	if reg == nil {
		return m, nil
	}
	if err := reg.Register(m.settled); err != nil {
		return nil, fmt.Errorf("register history metrics: %w", err)
	}
	return m, nil
}

func (m *settlerMetrics) count(c conversion) {
	add := func(as string, n int) { m.settled.WithLabelValues(as).Add(float64(n)) }
	add(asEnded, c.known)
	add(asRow, c.rows)
	add(asRefused, c.refused)
}

func (m *metrics) drop(reason string, n int) { m.dropped.WithLabelValues(reason).Add(float64(n)) }
