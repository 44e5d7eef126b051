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
	series   sync.Map // seriesKey to prometheus.Observer: saves hashing the labels of duration
}

type seriesKey struct {
	route, method string
	status        int
}

// newMetrics registers the metrics, unless registry is nil.
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

// observe adds a request. The arguments must have few distinct values: a series is kept for each combination.
func (m *metrics) observe(route, method string, status int, took time.Duration) {
	key := seriesKey{route, method, status}
	series, known := m.series.Load(key)
	if !known {
		series, _ = m.series.LoadOrStore(key, m.duration.WithLabelValues(route, method, strconv.Itoa(status)))
	}
	series.(prometheus.Observer).Observe(took.Seconds())
}
