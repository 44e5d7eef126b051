package tasks

import (
	"fmt"
	"maps"
	"sync"
	"time"
)

// fakeMetrics notes what a mux counts, under "task queue name".
type fakeMetrics struct {
	mu    sync.Mutex
	count map[string]int
}

func newFakeMetrics() *fakeMetrics { return &fakeMetrics{count: make(map[string]int)} }

func (m *fakeMetrics) Series(task, queue string) MetricSeries { return fakeSeries{m, task, queue} }

// of are the counts of one task and queue, by name; those of 0 are left out.
func (m *fakeMetrics) of(task, queue string) map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make(map[string]int)
	for key, n := range m.count {
		var name string
		if k, _ := fmt.Sscanf(key, task+" ["+queue+"] %s", &name); k == 1 && n != 0 {
			found[name] = n
		}
	}
	return maps.Clone(found)
}

type fakeSeries struct {
	metrics     *fakeMetrics
	task, queue string
}

func (s fakeSeries) add(name string, by int) {
	s.metrics.mu.Lock()
	defer s.metrics.mu.Unlock()
	s.metrics.count[s.task+" ["+s.queue+"] "+name] += by
}

func (s fakeSeries) Running(by int)                       { s.add("running", by) }
func (s fakeSeries) Took(outcome string, _ time.Duration) { s.add("took:"+outcome, 1) }
func (s fakeSeries) Ended(state State)                    { s.add("ended:"+string(state), 1) }
func (s fakeSeries) Refused(reason string)                { s.add("refused:"+reason, 1) }
func (s fakeSeries) Stuck(by int)                         { s.add("stuck", by) }
func (s fakeSeries) HardTimeout()                         { s.add("hard_timeout", 1) }
