package boot

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Why connections are refused.
const (
	refusedAddress = "address"
	refusedAll     = "all"
)

// Why connections are closed for another one's sake.
const (
	sparedIdle   = "idle"
	sparedHeader = "header"
)

// connectionMetrics count what becomes of connections, by reason.
type connectionMetrics struct {
	refused, spared map[string]prometheus.Counter
}

// newConnectionMetrics registers with registry, unless that is nil.
func newConnectionMetrics(registry prometheus.Registerer, all *connections) (*connectionMetrics, error) {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "paidui_http_connections_refused_total",
		Help: "Connections closed at once, as their address or all together had too many.",
	}, []string{"reason"})
	spared := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "paidui_http_connections_closed_total",
		Help: "Connections closed to make room: idle ones, and ones whose header did not come.",
	}, []string{"reason"})
	m := &connectionMetrics{refused: map[string]prometheus.Counter{}, spared: map[string]prometheus.Counter{}}
	for _, reason := range []string{refusedAddress, refusedAll} {
		m.refused[reason] = refused.WithLabelValues(reason)
	}
	for _, reason := range []string{sparedIdle, sparedHeader} {
		m.spared[reason] = spared.WithLabelValues(reason)
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{refused, spared, openConnections{all}} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of connections: %w", err)
		}
	}
	return m, nil
}

// openConnections is the metric of those that are open.
type openConnections struct{ all *connections }

var (
	openDesc = prometheus.NewDesc("paidui_http_connections",
		"Connections that are open: new ones have sent no header yet, waiting ones wait for a task or get its events.", []string{"state"}, nil)
	maxDesc = prometheus.NewDesc("paidui_http_connections_max", "How many may be open.", nil, nil)
)

var stateNames = map[http.ConnState]string{
	http.StateNew: "new", http.StateActive: "active", http.StateIdle: "idle", http.StateHijacked: "waiting",
}

func (o openConnections) Describe(ch chan<- *prometheus.Desc) { ch <- openDesc; ch <- maxDesc }

func (o openConnections) Collect(ch chan<- prometheus.Metric) {
	for state, n := range o.all.byState() {
		ch <- prometheus.MustNewConstMetric(openDesc, prometheus.GaugeValue, float64(n), stateNames[state])
	}
	if most := o.all.limits.Max; most > 0 {
		ch <- prometheus.MustNewConstMetric(maxDesc, prometheus.GaugeValue, float64(most))
	}
}

// byState counts the open connections in every state of stateNames.
func (s *connections) byState() map[http.ConnState]int {
	counts := map[http.ConnState]int{}
	for state := range stateNames {
		counts[state] = 0
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.peers {
		for c := range p.open {
			if state, _ := c.inState(now); state != http.StateClosed {
				counts[state]++
			}
		}
	}
	return counts
}
