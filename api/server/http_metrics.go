package server

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	series   sync.Map // of seriesKey to prometheus.Observer: what duration has, without its labels' hashes
}

type seriesKey struct {
	route, method string
	status        int
}

// newMetrics registers with registry, unless that is nil.
func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "paidui_http_request_duration_seconds",
			Help:    "Time from a request's header to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"route", "method", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "paidui_http_requests_in_flight",
			Help: "Requests being answered.",
		}),
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.duration, m.inFlight} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}

// observe takes values of which there are few: a series is kept for each.
func (m *metrics) observe(route, method string, status int, took time.Duration) {
	key := seriesKey{route, method, status}
	series, known := m.series.Load(key)
	if !known {
		series, _ = m.series.LoadOrStore(key, m.duration.WithLabelValues(route, method, strconv.Itoa(status)))
	}
	series.(prometheus.Observer).Observe(took.Seconds())
}
