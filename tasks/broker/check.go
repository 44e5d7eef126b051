package broker

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// Fault is a way in which a task's hash and the lists of its queue contradict each other.
type Fault string

// The faults that Check finds. It mends all but the last.
const (
	FaultLost    Fault = "lost"    // the task is in no list of its state, so that nobody would ever look at it
	FaultStray   Fault = "stray"   // a list has an id without a task
	FaultWrong   Fault = "wrong"   // the task is in a list of another state
	FaultTwice   Fault = "twice"   // the task is in the lists of its state more than once
	FaultUnowned Fault = "unowned" // no living worker has the active task, and its lease has ended: whoever beats takes it over
)

// CheckOptions are how Check goes about it.
type CheckOptions struct {
	Pause time.Duration                 // between the look that finds faults and the one that mends those that are there still
	Due   func(*StoredTask) time.Time   // when a task of state scheduled may run that is in no set; zero is now
	Step  func(queues, tasks int) error // is told how far the check is; its error ends it. Nil is not told
}

// Checked is what a check found.
type Checked struct {
	Queues int           `json:"queues"`
	Tasks  int           `json:"tasks"`
	Faults map[Fault]int `json:"faults"` // by kind; those that are not there are left out
	More   bool          `json:"more"`   // there may be more than one check mends
}

const (
	// checkRest is the pause after each script.
	checkRest = 2 * time.Millisecond
	// mendBatch bounds the tasks of one script that mends.
	mendBatch = 64
	// checkVisits bounds the list elements that one mending script passes by, unless one task alone needs more.
	checkVisits = 100_000
)

// checkLimits bound a check.
type checkLimits struct {
	step     int // list elements or tasks that one script looks at
	kept     int // ids of lists that are kept at a time: no further queue is read beyond it
	suspects int // tasks of a queue that are looked at again
	visits   int // list elements that all mending scripts of a check pass by
	// unsettled is how long ago a task must have got its state for the lists, which are read before the tasks, to be held
	// against it. It has room for clocks that differ.
	unsettled time.Duration
}

func standardCheck() checkLimits {
	return checkLimits{step: 500, kept: 4_000_000, suspects: 10_000, visits: 100_000_000, unsettled: 10 * time.Second}
}

// Check compares the lists and sets of all queues with their tasks, while traffic goes on. What contradicts, and does so
// after a pause still, it mends in one script a task, so that nothing is between two lists meanwhile: the state in the
// task's hash is held for true. It reads all tasks, in steps that leave Redis to others in between. A queue for which Redis
// answers with an error does not keep it from the others: Check returns those errors at its end.
func (b *Broker) Check(ctx context.Context, opt CheckOptions) (Checked, error) {
	c := newChecker(b, opt, standardCheck())
	err := c.run(ctx)
	return c.found, err
}

// Faults counts the faults that checks of this broker have found, by kind: all kinds are there.
func (b *Broker) Faults() map[Fault]uint64 {
	b.checksMu.Lock()
	defer b.checksMu.Unlock()
	counts := make(map[Fault]uint64)
	for _, f := range []Fault{FaultLost, FaultStray, FaultWrong, FaultTwice, FaultUnowned} {
		counts[f] = b.checks[f]
	}
	return counts
}

func (b *Broker) countFault(f Fault, n int) {
	b.checksMu.Lock()
	defer b.checksMu.Unlock()
	if b.checks == nil {
		b.checks = make(map[Fault]uint64)
	}
	b.checks[f] += uint64(n)
}

type checker struct {
	b      *Broker
	opt    CheckOptions
	limits checkLimits
	seed   maphash.Seed
	since  time.Time                // tasks that got their state later are not judged
	queues map[string]*checkedQueue // whose lists are read, until their suspects are mended
	visits int                      // list elements that mending scripts have passed by
	failed []error                  // of queues that could not be checked
	found  Checked
}

func newChecker(b *Broker, opt CheckOptions, limits checkLimits) *checker {
	return &checker{b: b, opt: opt, limits: limits, seed: maphash.MakeSeed(), found: Checked{Faults: make(map[Fault]int)}}
}

// checkedQueue is what is known of one queue.
type checkedQueue struct {
	name            string
	waiting, active listedIDs
	suspects        map[string]struct{} // contradict
	unowned         map[string]struct{} // active, and no living worker's
}

// run checks one queue after another. It reads all tasks once for as many queues as their ids may be kept together.
func (c *checker) run(ctx context.Context) error {
	names, err := c.b.rdb.SMembers(ctx, format.AllQueuesKey).Result()
	if err != nil {
		return fmt.Errorf("list queues: %w", err)
	}
	slices.Sort(names)
	for len(names) > 0 {
		if names, err = c.checkSome(ctx, names); err != nil {
			return errors.Join(append(c.failed, err)...)
		}
	}
	return errors.Join(c.failed...)
}

// checkSome checks the first of the queues, and returns the others.
func (c *checker) checkSome(ctx context.Context, names []string) (others []string, err error) {
	c.queues, c.since = make(map[string]*checkedQueue), time.Now().Add(-c.limits.unsettled)
	for kept := 0; len(names) > 0 && kept < c.limits.kept; names = names[1:] {
		q := &checkedQueue{name: names[0], suspects: make(map[string]struct{}), unowned: make(map[string]struct{})}
		c.queues[q.name] = q
		if err := c.readLists(ctx, q); err != nil {
			if err := c.leaveOut(q, err); err != nil {
				return nil, err
			}
			continue
		}
		kept += len(q.waiting) + len(q.active)
		c.found.Queues++
	}
	if err := c.readTasks(ctx); err != nil {
		return nil, fmt.Errorf("check tasks: %w", err)
	}
	rested := false
	for _, name := range slices.Sorted(maps.Keys(c.queues)) {
		q := c.queues[name]
		q.waiting, q.active = nil, nil
		if len(q.suspects)+len(q.unowned) == 0 {
			continue
		}
		if !rested {
			rested = true
			if err := rest(ctx, c.opt.Pause); err != nil {
				return nil, err
			}
		}
		if err := c.lookAgain(ctx, q); err != nil {
			if err := c.leaveOut(q, err); err != nil {
				return nil, err
			}
		}
	}
	return names, nil
}

// leaveOut goes on without a queue for which Redis has answered with an error. Other errors end the check.
func (c *checker) leaveOut(q *checkedQueue, err error) error {
	err = fmt.Errorf("check queue %s: %w", q.name, err)
	var answer redis.Error
	if !errors.As(err, &answer) {
		return err
	}
	delete(c.queues, q.name)
	c.failed = append(c.failed, err)
	return nil
}

// rest waits, or returns ctx's error.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// step rests between two scripts, and tells how far the check is.
func (c *checker) step(ctx context.Context, pause time.Duration) error {
	if c.opt.Step != nil {
		if err := c.opt.Step(c.found.Queues, c.found.Tasks); err != nil {
			return err
		}
	}
	return rest(ctx, pause)
}

// note adds an id to those that are looked at again, unless there are enough.
func (c *checker) note(ids map[string]struct{}, id string) {
	if _, there := ids[id]; !there && len(ids) >= c.limits.suspects {
		c.found.More = true
		return
	}
	ids[id] = struct{}{}
}

func (c *checker) count(f Fault, n int) {
	c.found.Faults[f] += n
	c.b.countFault(f, n)
}

var (
	checkListScript  = format.Script("check_list.lua")
	checkTasksScript = format.Script("check_tasks.lua")
	mendScript       = format.Script("check_mend.lua")
)
