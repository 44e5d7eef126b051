// Package outbox makes tasks that commit with the caller's data, and that survive the loss of all that Redis holds.
//
// Definition.EnqueueTx writes a row into the table paidui_outbox, in the caller's transaction. A relay, which runs in every
// process that has an outbox, sends rows to Redis under the id that is fixed in the row, so that sending one twice makes
// one task. The row stays until the task has ended. A sweeper looks at rows that were sent a while ago: what Redis does
// not know any more is sent again.
//
// A process may die between any two of these steps:
//   - before the row's commit, nothing has happened;
//   - after it, the row waits for any relay to find it, a second later at most;
//   - after Redis has the task and before the row says so, the next relay sends it again, and Redis has it already;
//   - after the task has ended and before its row is gone, the sweeper finds it ended in Redis, where a task of an outbox
//     is known for tasks.OutboxRetention after its end. One that is tasks.Repeatable need not be: it is sent, and runs, again.
package outbox

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// Options configures an Outbox.
type Options struct {
	Logger     *slog.Logger          // nil is slog.Default
	Registerer prometheus.Registerer // takes the counters; nil counts for nobody
	// Written is a time before which the ends of tasks are in the history. The row of a task that has ended stays until
	// then, though for 10 s at most, so that a task whose worker dies in between, and that Redis loses, runs again and is
	// not LOST. nil waits for nothing.
	Written func() time.Time
}

// Outbox implements tasks.Outbox, and gorm.Plugin. It is safe for concurrent use.
type Outbox struct {
	db       *gorm.DB
	client   *tasks.Client
	logger   *slog.Logger
	counters counters
	pace     pace
	written  func() time.Time
	locks    bool          // the database has row locks, else one writer at a time
	wake     chan struct{} // holds one when there may be rows to send

	mu    sync.Mutex
	ended []endedTask   // whose rows can go, oldest first
	full  chan struct{} // holds one when ended has a batch

	step func(step) // tests stop here; nil otherwise
}

// pace is how often things are done and how much at a time.
type pace struct {
	batch     int           // rows of a transaction
	bytes     int           // of their bodies, about
	limit     time.Duration // for a batch
	look      time.Duration // between looks for rows that nobody has announced
	sweep     time.Duration // between sweeps
	overdue   time.Duration // since a row was sent, or last found in Redis, before it is looked at again
	sweeps    int           // batches of one sweep
	forget    time.Duration // between deletions of rows whose tasks have ended
	keep      time.Duration // for which such a row waits for the history at most
	firstWait time.Duration // after a failure
	longest   time.Duration // after many
}

var standardPace = pace{
	batch:     500,
	bytes:     4 << 20,
	limit:     15 * time.Second,
	look:      time.Second,
	sweep:     30 * time.Second,
	overdue:   time.Minute,
	sweeps:    40,
	forget:    100 * time.Millisecond,
	keep:      10 * time.Second,
	firstWait: 100 * time.Millisecond,
	longest:   5 * time.Second,
}

// New makes the outbox of a migrated database, and has the client use it. Give it to the database with db.Use, and Run
// it, here or elsewhere: whatever process runs an outbox of the database sends the rows of all.
func New(db *gorm.DB, client *tasks.Client, opt Options) (*Outbox, error) {
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.Written == nil {
		opt.Written = func() time.Time { return time.Now().Add(time.Second) }
	}
	o := &Outbox{
		db:       db,
		client:   client,
		logger:   opt.Logger,
		counters: newCounters(),
		pace:     standardPace,
		written:  opt.Written,
		locks:    db.Name() != "sqlite",
		wake:     make(chan struct{}, 1),
		full:     make(chan struct{}, 1),
	}
	if err := o.counters.register(opt.Registerer); err != nil {
		return nil, err
	}
	client.UseOutbox(o)
	return o, nil
}

// Name implements gorm.Plugin.
func (o *Outbox) Name() string { return plugin }

// Initialize implements gorm.Plugin. The database must be the outbox's own.
func (o *Outbox) Initialize(db *gorm.DB) error {
	theirs, err := db.DB()
	if err != nil {
		return err
	}
	ours, err := o.db.DB()
	if err != nil {
		return err
	}
	if ours != theirs {
		return errors.New("the outbox was made for another database")
	}
	return nil
}

// Client implements tasks.Outbox.
func (o *Outbox) Client() *tasks.Client { return o.client }

// Run sends rows, looks after those that were sent, and deletes those whose tasks have ended, until ctx ends; then it
// finishes what it has begun.
func (o *Outbox) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { o.relay(ctx) })
	parts.Go(func() { o.sweeper(ctx) })
	parts.Go(func() { o.cleaner(ctx) })
	parts.Wait()
	return nil
}

// wakeRelay has the relay of this process look at once.
func (o *Outbox) wakeRelay() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// newTakenError is the answer of Put to an id that the outbox has already.
func newTakenError(p *tasks.OutboxMessage) error {
	return &takenError{p.ID()}
}

type takenError struct{ id string }

func (e *takenError) Error() string        { return "task " + e.id + " is in the outbox already" }
func (e *takenError) Is(target error) bool { return target == tasks.ErrDuplicate }

// table is the database for one call.
func (o *Outbox) table(ctx context.Context) *gorm.DB {
	return o.db.Session(&gorm.Session{NewDB: true, Context: ctx}).Model(&models.OutboxRow{})
}
