package outbox

import (
	"context"
	"time"
)

// Hurry has everything done many times a second.
func (o *Outbox) Hurry() {
	o.pace.look = 20 * time.Millisecond
	o.pace.sweep = 20 * time.Millisecond
	o.pace.overdue = 50 * time.Millisecond
	o.pace.forget = 5 * time.Millisecond
	o.pace.firstWait = 5 * time.Millisecond
	o.pace.longest = 100 * time.Millisecond
}

// NudgedOnly has the relay look for rows only when this process has committed some.
func (o *Outbox) NudgedOnly() { o.pace.look = time.Hour }

// SetBatch bounds a batch by rows and by the bytes of their bodies.
func (o *Outbox) SetBatch(rows, bytes int) { o.pace.batch, o.pace.bytes = rows, bytes }

// SweepAll makes every row that was sent overdue at once, and has a sweep look at all of them.
func (o *Outbox) SweepAll() { o.pace.overdue, o.pace.sweeps = 0, 1_000_000 }

// Steps at which a process may die.
const (
	StepTaken   = int(stepTaken)
	StepSent    = int(stepSent)
	StepSettled = int(stepSettled)
)

// OnStep calls f at each step of the relay. f may panic, as a process may die.
func (o *Outbox) OnStep(f func(step int)) { o.step = func(s step) { f(int(s)) } }

// SendAll is one look of the relay.
func (o *Outbox) SendAll(ctx context.Context) error {
	_, err := o.sendAll(ctx, 0, false, false)
	return err
}

// Sweep is one sweep.
func (o *Outbox) Sweep(ctx context.Context) error {
	_, err := o.sweep(ctx)
	return err
}

// Clean deletes the rows of tasks that were noted by Ended.
func (o *Outbox) Clean(ctx context.Context) error { return o.clean(ctx) }

// KeepRows leaves rows to the relay and to what Ended is told, however long a machine stands still.
func (o *Outbox) KeepRows() { o.pace.sweep, o.pace.keep = 24*time.Hour, 24*time.Hour }
