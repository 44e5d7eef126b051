package broker

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// listedIDs are sorted hashes of the ids in lists: of two ids with one hash, a fault may be missed until the next check.
type listedIDs []uint64

// times tells how often a hash is there: 0, 1, or 2 for more.
func (l listedIDs) times(sum uint64) int {
	i, found := slices.BinarySearch(l, sum)
	switch {
	case !found:
		return 0
	case i+1 < len(l) && l[i+1] == sum:
		return 2
	}
	return 1
}

// readLists reads the lists and sets of a queue.
func (c *checker) readLists(ctx context.Context, q *checkedQueue) (err error) {
	if q.waiting, err = c.readBothWays(ctx, q, "pending", format.PendingKey(q.name), format.HighKey(q.name), format.LowKey(q.name)); err != nil {
		return err
	}
	if q.active, err = c.readBothWays(ctx, q, "active", format.ActiveKey(q.name)); err != nil {
		return err
	}
	for state, key := range map[string]string{
		"scheduled": format.ScheduledKey(q.name), "retry": format.RetryKey(q.name), "archived": format.ArchivedKey(q.name), "completed": format.CompletedKey(q.name),
	} {
		if err := c.readStates(ctx, q, key, state, true, func(string) {}); err != nil {
			return err
		}
	}
	return nil
}

// readBothWays reads the lists of a state from both ends, as tasks come and go meanwhile. What is fetched shifts ids
// past a reader that comes from the end of the fetched, and none past one that comes from the other end, who may see ids
// again, as tasks are added there. So an id that neither has seen is not there, and one that the first has seen twice is
// there twice, but for few: a script looks again before anything is mended.
func (c *checker) readBothWays(ctx context.Context, q *checkedQueue, state string, keys ...string) (listedIDs, error) {
	var ids, missed listedIDs
	for _, key := range keys {
		err := c.readStates(ctx, q, key, state, false, func(id string) { ids = append(ids, maphash.String(c.seed, id)) })
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(ids)
	for _, key := range keys {
		for skip := 0; ; skip += c.limits.step {
			page, err := c.b.rdb.LRange(ctx, key, int64(skip), int64(skip+c.limits.step-1)).Result()
			if err != nil {
				return nil, fmt.Errorf("read %s tasks: %w", state, err)
			}
			for _, id := range page {
				if sum := maphash.String(c.seed, id); ids.times(sum) == 0 {
					missed = append(missed, sum)
				}
			}
			if len(page) < c.limits.step {
				break
			}
			if err := c.step(ctx, checkRest); err != nil {
				return nil, err
			}
		}
	}
	if len(missed) > 0 {
		slices.Sort(missed)
		ids = append(ids, slices.Compact(missed)...)
		slices.Sort(ids)
	}
	return ids, nil
}

// readStates reads a list, from the end that is fetched first, or a set, and suspects ids whose tasks have another state.
func (c *checker) readStates(ctx context.Context, q *checkedQueue, key, state string, set bool, seen func(id string)) error {
	for skip := 0; ; skip += c.limits.step {
		found, err := checkListScript.Run(ctx, c.b.rdb, []string{key}, format.Flag(set), skip, c.limits.step, format.TaskKeyPrefix(q.name)).StringSlice()
		if err != nil {
			return fmt.Errorf("read %s tasks: %w", state, err)
		}
		for i := 0; i+1 < len(found); i += 2 {
			id, is := found[i], found[i+1]
			seen(id)
			if is == "revoked" {
				if state == "pending" {
					continue // a long list keeps it until it is fetched, and dropped
				}
				is = "completed"
			}
			if is != state && (is == "" || homed(is)) {
				c.note(q.suspects, id)
			}
		}
		if len(found) < 2*c.limits.step {
			return nil
		}
		if err := c.step(ctx, checkRest); err != nil {
			return err
		}
	}
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
		keys, next, err := node.Scan(ctx, cursor, format.KeyPrefix+"*"+format.TaskInfix+"*", int64(c.limits.step)).Result()
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		byQueue := make(map[string][]string)
		for _, key := range keys {
			name := format.KeyQueue(key)
			byQueue[name] = append(byQueue[name], key)
		}
		for name, keys := range byQueue {
			if q := c.queues[name]; q != nil { // another one has come meanwhile
				if err := c.judge(ctx, q, keys); err != nil {
					if err := c.leaveOut(q, err); err != nil {
						return err
					}
				}
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
		if err := c.step(ctx, checkRest); err != nil {
			return err
		}
	}
}

// judge holds tasks against the lists.
func (c *checker) judge(ctx context.Context, q *checkedQueue, keys []string) error {
	tasks, err := c.look(ctx, q, keys)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		c.found.Tasks++
		lists := q.waiting
		switch {
		case t.state == "active":
			lists = q.active
			if !t.home {
				c.note(q.unowned, t.id)
			}
		case t.state == "pending":
		default:
			if homed(t.state) && !t.home {
				c.note(q.suspects, t.id)
			}
			continue
		}
		times := lists.times(maphash.String(c.seed, t.id))
		if times == 0 && c.settled(t.since) || times > 1 {
			c.note(q.suspects, t.id)
		}
	}
	return nil
}

// lookedTask is a task as the judge script has found it.
type lookedTask struct {
	id, state string
	since     string // when it got that state: pending in ns, active in ms
	home      bool   // it is in the set of its state; one that is active has a living worker or a lease
}

func (c *checker) look(ctx context.Context, q *checkedQueue, tasks []string) ([]lookedTask, error) {
	keys := append([]string{
		format.ScheduledKey(q.name), format.RetryKey(q.name), format.ArchivedKey(q.name), format.CompletedKey(q.name), format.LivesKey(q.name), format.LeaseKey(q.name),
	}, tasks...)
	reply, err := checkTasksScript.Run(ctx, c.b.rdb, keys, len(format.TaskKeyPrefix(q.name))).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("look at tasks: %w", err)
	}
	looked := make([]lookedTask, 0, len(reply)/4)
	for i := 0; i+3 < len(reply); i += 4 {
		looked = append(looked, lookedTask{id: reply[i], state: reply[i+1], since: reply[i+2], home: reply[i+3] == "1"})
	}
	return looked, nil
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
