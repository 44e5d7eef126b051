package cache

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// storeMetrics are what a Store counts. Those of a cache are a curried part of them.
type storeMetrics struct {
	hits, nulls, near, misses   *prometheus.CounterVec
	fills, refused, unfilled    *prometheus.CounterVec
	degraded, stale, failed     *prometheus.CounterVec
	load                        *prometheus.HistogramVec
	errors                      *prometheus.CounterVec
	invalidations, busy, broken prometheus.Counter
}

// cacheMetrics are those of one cache.
type cacheMetrics struct {
	hits     prometheus.Counter // values that Redis had
	nulls    prometheus.Counter // answers "not in the database" that needed no database
	near     prometheus.Counter // values that the process had
	misses   prometheus.Counter // reads that found no value cached
	fills    prometheus.Counter // values stored
	refused  prometheus.Counter // values not stored, because the row may have changed since they were read
	unfilled prometheus.Counter // null values not stored, because there were too many
	degraded prometheus.Counter // reads without the primary
	stale    prometheus.Counter // reads answered with the last known value
	failed   prometheus.Counter // loads
	load     prometheus.Observer
}

// newStoreMetrics registers with registry, unless that is nil.
func newStoreMetrics(registry prometheus.Registerer) (*storeMetrics, error) {
	var all []prometheus.Collector
	counters := func(name, help, label string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "paidui_cache_" + name, Help: help}, []string{label})
		all = append(all, v)
		return v
	}
	count := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "paidui_cache_" + name, Help: help})
		all = append(all, c)
		return c
	}
	const cache, server = "cache", "server"
	m := &storeMetrics{
		hits:     counters("hits_total", "Values that Redis had.", cache),
		nulls:    counters("null_hits_total", "Answers that something is not in the database, without asking it.", cache),
		near:     counters("near_hits_total", "Values that the process had.", cache),
		misses:   counters("misses_total", "Reads that found no value cached.", cache),
		fills:    counters("fills_total", "Values stored.", cache),
		refused:  counters("refused_fills_total", "Values not stored, because the row may have changed since they were read.", cache),
		unfilled: counters("unfilled_nulls_total", "Null values kept out of Redis, because there were too many.", cache),
		degraded: counters("degraded_reads_total", "Reads for which the primary did not answer.", cache),
		stale:    counters("stale_served_total", "Reads answered with the last known value.", cache),
		failed:   counters("failed_loads_total", "Loads from the database that failed, or were refused.", cache),
		load: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "paidui_cache_load_seconds",
			Help:    "Time of a load from the database, the wait for its turn included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{cache}),
		errors:        counters("errors_total", "Accesses that the server, primary or replica, did not answer.", server),
		invalidations: count("invalidations_total", "Keys that were said to have changed."),
		busy:          count("refused_loads_total", "Loads refused, because too many waited, or the database does not answer."),
		broken:        count("undecodable_total", "Cached values that did not decode, and were replaced."),
	}
	all = append(all, m.load)
	return m, register(registry, all...)
}

func register(registry prometheus.Registerer, all ...prometheus.Collector) error {
	if registry == nil {
		return nil
	}
	var errs []error
	for _, c := range all {
		if err := registry.Register(c); err != nil {
			errs = append(errs, fmt.Errorf("registering the cache's metrics: %w", err))
		}
	}
	return errors.Join(errs...)
}

const breakerHelp = "Whether the server is left alone, since it does not answer."

// observe registers what is read off a store when it is asked for.
func observe(registry prometheus.Registerer, b backends, l *loads, database *breaker, subscribed func() bool) error {
	number := func(is bool) float64 {
		if is {
			return 1
		}
		return 0
	}
	gauge := func(name, help string, labels prometheus.Labels, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "paidui_cache_" + name, Help: help, ConstLabels: labels}, f)
	}
	all := []prometheus.Collector{
		gauge("loads_running", "Reads of the database under way.", nil, func() float64 { return float64(len(l.slots)) }),
		gauge("loads_waiting", "Reads of the database that wait for their turn.", nil,
			func() float64 { return float64(l.waiting.Load()) }),
		gauge("subscribed", "Whether the process hears at once of what changes.", nil,
			func() float64 { return number(subscribed()) }),
	}
	all = append(all, gauge("breaker_open", breakerHelp, prometheus.Labels{"server": "database"},
		func() float64 { return number(database.open()) }))
	for _, s := range []*server{b.primary, b.replica} {
		if s != nil {
			all = append(all, gauge("breaker_open", breakerHelp,
				prometheus.Labels{"server": s.role}, func() float64 { return number(s.resting()) }))
		}
	}
	return register(registry, all...)
}

// of gives the metrics of one cache.
func (m *storeMetrics) of(cache string) cacheMetrics {
	return cacheMetrics{
		hits:     m.hits.WithLabelValues(cache),
		nulls:    m.nulls.WithLabelValues(cache),
		near:     m.near.WithLabelValues(cache),
		misses:   m.misses.WithLabelValues(cache),
		fills:    m.fills.WithLabelValues(cache),
		refused:  m.refused.WithLabelValues(cache),
		unfilled: m.unfilled.WithLabelValues(cache),
		degraded: m.degraded.WithLabelValues(cache),
		stale:    m.stale.WithLabelValues(cache),
		failed:   m.failed.WithLabelValues(cache),
		load:     m.load.WithLabelValues(cache),
	}
}
