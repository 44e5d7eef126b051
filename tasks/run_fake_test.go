package tasks

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// fakeDelivery is a delivery without Redis.
type fakeDelivery struct {
	crashes    int
	terminated chan struct{}

	mu       sync.Mutex
	reason   string
	revoked  bool
	result   []byte
	attempts []string
	fenced   bool
	reports  []string
	refuse   error // what Progress and Check return
	lost     error // what Owned returns
}

func newFake() *fakeDelivery { return &fakeDelivery{terminated: make(chan struct{})} }

func (d *fakeDelivery) Worker() string              { return "worker-1" }
func (d *fakeDelivery) Began() time.Time            { return time.UnixMilli(1_700_000_000_123) }
func (d *fakeDelivery) Crashes() int                { return d.crashes }
func (d *fakeDelivery) Terminated() <-chan struct{} { return d.terminated }

func (d *fakeDelivery) Revoked() (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reason, d.revoked
}

func (d *fakeDelivery) terminate(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reason, d.revoked = reason, true
	close(d.terminated)
}

func (d *fakeDelivery) RunsUntil(time.Time) {}

func (d *fakeDelivery) Keep(result []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.result = result
}

func (d *fakeDelivery) Record(attempt []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if attempt != nil {
		d.attempts = append(d.attempts, string(attempt))
	}
	return true
}

func (d *fakeDelivery) Fence() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fenced = true
}

func (d *fakeDelivery) Progress(_ context.Context, progress []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse == nil {
		d.reports = append(d.reports, string(progress))
	}
	return d.refuse
}

func (d *fakeDelivery) Check(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refuse
}

func (d *fakeDelivery) Owned(context.Context) error { return d.lost }

func (d *fakeDelivery) refuseAll(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse = err
}

// kept is the result, and whether the delivery is fenced.
func (d *fakeDelivery) kept() (result string, fenced bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return string(d.result), d.fenced
}

func (d *fakeDelivery) reported() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.reports...)
}

// lastAttempt is the one record that there is.
func (d *fakeDelivery) lastAttempt(t *testing.T) map[string]any {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	require.Len(t, d.attempts, 1)
	var a map[string]any
	require.NoError(t, json.Unmarshal([]byte(d.attempts[0]), &a), d.attempts[0])
	return a
}

// fakeMux runs tasks of which d is the delivery, with little patience.
func fakeMux(d *fakeDelivery, opt MuxOptions) *Mux {
	if opt.Logger == nil {
		opt.Logger = testenv.Quiet()
	}
	m := NewMux(opt)
	m.current = func(context.Context) delivery { return d }
	m.grace = 50 * time.Millisecond
	return m
}

type noArgs struct{}

// job is a definition whose handler is h.
func job(t *testing.T, m *Mux, h func(context.Context) (string, error), opts ...Option) {
	t.Helper()
	Handle(m, Define[noArgs, string]("test.job", opts...), func(ctx context.Context, _ noArgs) (string, error) { return h(ctx) })
}

// process runs the job as its first attempt without retries, which is what a context without asynq's data says.
func process(ctx context.Context, m *Mux, headers map[string]string) error {
	return m.ProcessTask(ctx, asynq.NewTaskWithHeaders("test.job", []byte(`{}`), headers))
}

// fakeHistory keeps what it is told.
type fakeHistory struct {
	mu      sync.Mutex
	records []Record
}

func (h *fakeHistory) Record(r Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, r)
}

func (h *fakeHistory) states() []State {
	h.mu.Lock()
	defer h.mu.Unlock()
	states := make([]State, len(h.records))
	for i, r := range h.records {
		states[i] = r.State
	}
	return states
}
