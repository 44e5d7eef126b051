package sms

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

func newRefused() *prometheus.CounterVec {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "paidui_sms_refused_total",
		Help: "Codes not sent, or not tried, because of a limit.",
	}, []string{"limit"})
	for _, scope := range []string{ScopeMinute, ScopeDay, ScopeShare, ScopeAddress, ScopeTries, ScopeAll} {
		refused.WithLabelValues(scope) // so that its first increase is seen
	}
	return refused
}

// Describe implements prometheus.Collector.
func (c *Codes) Describe(to chan<- *prometheus.Desc) { c.refused.Describe(to) }

// Collect implements prometheus.Collector: of paidui_sms_refused_total, what a limit refused, by the limit's Scope.
func (c *Codes) Collect(to chan<- prometheus.Metric) { c.refused.Collect(to) }

// refuse counts err if it is a limit's, and returns it.
func (c *Codes) refuse(err error) error {
	if refused := (*LimitError)(nil); errors.As(err, &refused) {
		c.refused.WithLabelValues(refused.Scope).Inc()
	}
	return err
}
