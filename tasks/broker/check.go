package broker

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Fault is a way in which a task's hash and the lists of its queue contradict each other.
type Fault string

// The faults that Check finds. It mends all but the last.
const (
	FaultLost    Fault = "lost"    // the task is in no list of its state, so that nobody would ever look at it
	FaultStray   Fault = "stray"   // a list has an id without a task
	FaultWrong   Fault = "wrong"   // the task is in a list of another state
	FaultTwice   Fault = "twice"   // the task is in the lists of its state more than once
	FaultUnowned Fault = "unowned" // no living worker has the active task: whoever beats takes it over
)

// CheckOptions are how Check goes about it.
type CheckOptions struct {
	Pause time.Duration                 // between the look that finds faults and the one that mends those that are there still
	Due   func(*Record) time.Time       // when a task of state scheduled may run that is in no set; zero is now
	Step  func(queues, tasks int) error // is told how far the check is; its error ends it. Nil is not told
}

// Checked is what a check found.
type Checked struct {
	Queues int           `json:"queues"`
	Tasks  int           `json:"tasks"`
	Faults map[Fault]int `json:"faults"` // by kind; those that are not there are left out
	More   bool          `json:"more"`   // there are more than one check mends
}

const (
	// checkStep is how many elements or tasks one script looks at, well under a millisecond, and checkRest is the pause
	// after it.
	checkStep = 500
	checkRest = 2 * time.Millisecond
	// checkVisits bounds the list elements that one mending script passes by, unless one task alone needs more.
	checkVisits = 100_000
	// maxSuspects bounds what one check mends of a queue.
	maxSuspects = 10_000
	// unsettled is how long ago a task must have got its state for the lists, which are read before the tasks, to be held
	// against it. It has room for clocks that differ.
	unsettled = 10 * time.Second
)

// Check compares the lists and sets of all queues with their tasks, while traffic goes on. What contradicts, and does so
// after a pause still, it mends in one script a task, so that nothing is between two lists meanwhile: the state in the
// task's hash is held for true. It reads all tasks, in steps that leave Redis to others in between.
func (b *Broker) Check(ctx context.Context, opt CheckOptions) (Checked, error) {
	c := &checker{b: b, opt: opt, seed: maphash.MakeSeed(), since: time.Now().Add(-unsettled), queues: make(map[string]*checkedQueue)}
	c.found.Faults = make(map[Fault]int)
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
	seed   maphash.Seed
	since  time.Time // tasks that got their state later are not judged
	queues map[string]*checkedQueue
	found  Checked
}

// checkedQueue is what is known of one queue. Lists are kept as hashes of their ids: of two ids with one hash, a fault may
// be missed until the next check.
type checkedQueue struct {
	name            string
	pending, active map[uint64]struct{}
	suspects        map[string]struct{}
}

func (q *checkedQueue) suspect(id string) { q.suspects[id] = struct{}{} }

func (c *checker) run(ctx context.Context) error {
	names, err := c.b.rdb.SMembers(ctx, allQueuesKey).Result()
	if err != nil {
		return fmt.Errorf("list queues: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		q := &checkedQueue{name: name, pending: make(map[uint64]struct{}), active: make(map[uint64]struct{}), suspects: make(map[string]struct{})}
		c.queues[name] = q
		if err := c.readLists(ctx, q); err != nil {
			return fmt.Errorf("check queue %s: %w", name, err)
		}
		c.found.Queues++
	}
	if err := c.readTasks(ctx); err != nil {
		return fmt.Errorf("check tasks: %w", err)
	}
	for _, name := range names {
		q := c.queues[name]
		q.pending, q.active = nil, nil
		if len(q.suspects) == 0 {
			continue
		}
		if err := rest(ctx, c.opt.Pause); err != nil {
			return err
		}
		if err := c.mend(ctx, q); err != nil {
			return fmt.Errorf("mend queue %s: %w", name, err)
		}
	}
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
func (c *checker) step(ctx context.Context) error {
	if c.opt.Step != nil {
		if err := c.opt.Step(c.found.Queues, c.found.Tasks); err != nil {
			return err
		}
	}
	return rest(ctx, checkRest)
}

// readLists reads the lists and sets of a queue. Tasks that come or go meanwhile shift them, so that some may be left out
// or seen twice; a script looks again before anything is mended.
func (c *checker) readLists(ctx context.Context, q *checkedQueue) error {
	for _, l := range []struct {
		key, state string
		seen       map[uint64]struct{} // nil for a set
	}{
		{pendingKey(q.name), "pending", q.pending}, {highKey(q.name), "pending", q.pending}, {lowKey(q.name), "pending", q.pending},
		{activeKey(q.name), "active", q.active},
		{scheduledKey(q.name), "scheduled", nil}, {retryKey(q.name), "retry", nil},
		{archivedKey(q.name), "archived", nil}, {completedKey(q.name), "completed", nil},
	} {
		for skip := 0; ; skip += checkStep {
			found, err := listedScript.Run(ctx, c.b.rdb, []string{l.key}, number(l.seen == nil), skip, checkStep, taskKeyPrefix(q.name)).StringSlice()
			if err != nil {
				return fmt.Errorf("read %s tasks: %w", l.state, err)
			}
			for i := 0; i+1 < len(found); i += 2 {
				id, state := found[i], found[i+1]
				if state != l.state && (state == "" || homed(state)) {
					q.suspect(id)
				}
				if l.seen == nil {
					continue
				}
				sum := maphash.String(c.seed, id)
				if _, twice := l.seen[sum]; twice {
					q.suspect(id)
				}
				l.seen[sum] = struct{}{}
			}
			if len(found) < 2*checkStep {
				break
			}
			if err := c.step(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// homed tells whether tasks of the state are in a list or set that Check knows. Those of a group (aggregating) are not.
func homed(state string) bool {
	switch state {
	case "pending", "active", "scheduled", "retry", "archived", "completed":
		return true
	}
	return false
}

// readTasks reads the tasks of all queues, by their keys.
func (c *checker) readTasks(ctx context.Context) error {
	if cluster, ok := c.b.rdb.(*redis.ClusterClient); ok {
		nodes := make(chan *redis.Client, 1000)
		if err := cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error { nodes <- node; return nil }); err != nil {
			return fmt.Errorf("list the nodes of the cluster: %w", err)
		}
		close(nodes)
		for node := range nodes {
			if err := c.scan(ctx, node); err != nil {
				return err
			}
		}
		return nil
	}
	return c.scan(ctx, c.b.rdb)
}

func (c *checker) scan(ctx context.Context, node redis.Cmdable) error {
	for cursor := uint64(0); ; {
		keys, next, err := node.Scan(ctx, cursor, keyPrefix+"*"+taskInfix+"*", checkStep).Result()
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		byQueue := make(map[string][]string)
		for _, key := range keys {
			name := keyQueue(key)
			byQueue[name] = append(byQueue[name], key)
		}
		for name, keys := range byQueue {
			if q := c.queues[name]; q != nil { // another one has come meanwhile
				if err := c.judge(ctx, q, keys); err != nil {
					return err
				}
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
		if err := c.step(ctx); err != nil {
			return err
		}
	}
}

// judge holds tasks against the lists.
func (c *checker) judge(ctx context.Context, q *checkedQueue, tasks []string) error {
	keys := append([]string{scheduledKey(q.name), retryKey(q.name), archivedKey(q.name), completedKey(q.name), livesKey(q.name)}, tasks...)
	reply, err := judgeScript.Run(ctx, c.b.rdb, keys, len(taskKeyPrefix(q.name))).StringSlice()
	if err != nil {
		return fmt.Errorf("look at tasks of queue %s: %w", q.name, err)
	}
	for i := 0; i+3 < len(reply); i += 4 {
		id, state, at, home := reply[i], reply[i+1], reply[i+2], reply[i+3]
		c.found.Tasks++
		var seen map[uint64]struct{}
		switch state {
		case "pending":
			seen = q.pending
		case "active":
			seen = q.active
			if home == "0" {
				c.count(FaultUnowned, 1)
			}
		default:
			if homed(state) && home == "0" {
				q.suspect(id)
			}
			continue
		}
		if _, listed := seen[maphash.String(c.seed, id)]; !listed && c.settled(at) {
			q.suspect(id)
		}
	}
	return nil
}

// settled tells whether a time, in nanoseconds or milliseconds, was before the lists were read. A task without one is old.
func (c *checker) settled(at string) bool {
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return true
	}
	if n < 1e15 {
		n *= int64(time.Millisecond)
	}
	return n < c.since.UnixNano()
}

func (c *checker) count(f Fault, n int) {
	c.found.Faults[f] += n
	c.b.countFault(f, n)
}

// mend looks at the suspects once more, and mends what is wrong with them still.
func (c *checker) mend(ctx context.Context, q *checkedQueue) error {
	ids := make([]string, 0, len(q.suspects))
	for id := range q.suspects {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if len(ids) > maxSuspects {
		ids, c.found.More = ids[:maxSuspects], true
	}
	keys := []string{
		pendingKey(q.name), highKey(q.name), lowKey(q.name), activeKey(q.name), leaseKey(q.name), scheduledKey(q.name), retryKey(q.name),
		archivedKey(q.name), completedKey(q.name), wakeKey(q.name),
	}
	for size := 1; len(ids) > 0; {
		some := ids[:min(size, len(ids))]
		scores, err := c.scores(ctx, q, some)
		if err != nil {
			return err
		}
		call := slices.Clone(keys)
		args := []any{time.Now().UnixNano(), c.b.wakeUps(), int(leaseTime.Seconds())}
		for i, id := range some {
			call = append(call, taskKey(q.name, id))
			args = append(args, id, scores[i])
		}
		reply, err := mendScript.Run(ctx, c.b.rdb, call, args...).Slice()
		if err != nil {
			return err
		}
		if len(reply) < 1 {
			return errors.New("unexpected reply of the mend script")
		}
		listed, _ := reply[0].(int64)
		faults := texts(reply[1:])
		for i := 0; i+1 < len(faults); i += 2 {
			f := Fault(faults[i+1])
			c.count(f, 1)
			c.b.logger.WarnContext(ctx, "a task and the lists of its queue contradicted each other, and agree now",
				"queue", q.name, "task", faults[i], "fault", string(f))
		}
		ids = ids[len(some):]
		size = int(max(1, min(takeBatch, checkVisits/max(listed, 1))))
		if err := c.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// scores are where in the set of its state each task belongs: when it is due, has failed, or is to be forgotten (Unix time).
func (c *checker) scores(ctx context.Context, q *checkedQueue, ids []string) ([]int64, error) {
	refs := make([]Ref, len(ids))
	for i, id := range ids {
		refs[i] = Ref{q.name, id}
	}
	records, err := c.b.FindMany(ctx, refs)
	if err != nil {
		return nil, err
	}
	scores, now := make([]int64, len(ids)), time.Now()
	for i, r := range records {
		at := now
		switch {
		case r == nil:
		case r.State == "scheduled" && c.opt.Due != nil:
			if due := c.opt.Due(r); !due.IsZero() {
				at = due.Add(time.Second - 1)
			}
		case r.State == "archived" && !r.LastFailedAt.IsZero():
			at = r.LastFailedAt
		case r.State == "completed" && !r.CompletedAt.IsZero():
			at = r.CompletedAt.Add(r.Retention)
		}
		scores[i] = at.Unix()
	}
	return scores, nil
}
