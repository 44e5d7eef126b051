package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// lookAgain looks at what was suspect in a queue once more: it counts active tasks that are nobody's still, and mends what
// contradicts still.
func (c *checker) lookAgain(ctx context.Context, q *checkedQueue) error {
	for ids := range slices.Chunk(slices.Collect(maps.Keys(q.unowned)), c.limits.step) {
		keys := make([]string, len(ids))
		for i, id := range ids {
			keys[i] = format.TaskKey(q.name, id)
		}
		tasks, err := c.look(ctx, q, keys)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			if t.state == "active" && !t.home {
				c.count(FaultUnowned, 1)
			}
		}
		if err := c.step(ctx, checkRest); err != nil {
			return err
		}
	}
	// In no order, so that a check that must leave some over does not begin with those of the last one.
	return c.mend(ctx, q, slices.Collect(maps.Keys(q.suspects)))
}

// mend has each task be once in the lists of its state and in no other, a few tasks a script. It leaves Redis to others for
// at least half of the time.
func (c *checker) mend(ctx context.Context, q *checkedQueue, ids []string) error {
	keys := []string{
		format.PendingKey(q.name), format.HighKey(q.name), format.LowKey(q.name), format.ActiveKey(q.name), format.LeaseKey(q.name), format.ScheduledKey(q.name), format.RetryKey(q.name),
		format.ArchivedKey(q.name), format.CompletedKey(q.name), format.WakeKey(q.name),
	}
	for size := 1; len(ids) > 0; {
		if c.visits >= c.limits.visits {
			c.found.More = true
			return nil
		}
		some := ids[:min(size, len(ids))]
		scores, err := c.scores(ctx, q, some)
		if err != nil {
			return err
		}
		call := slices.Clone(keys)
		args := []any{time.Now().UnixNano(), c.b.WakeUps(), int(format.LeaseTime.Seconds())}
		for i, id := range some {
			call = append(call, format.TaskKey(q.name, id))
			args = append(args, id, scores[i])
		}
		began := time.Now()
		reply, err := mendScript.Run(ctx, c.b.rdb, call, args...).Slice()
		if err != nil {
			return fmt.Errorf("mend: %w", err)
		}
		took := time.Since(began)
		if len(reply) < 1 {
			return errors.New("unexpected reply of the mend script")
		}
		listed, _ := reply[0].(int64)
		faults := format.Texts(reply[1:])
		for i := 0; i+1 < len(faults); i += 2 {
			f := Fault(faults[i+1])
			c.count(f, 1)
			c.b.logger.WarnContext(ctx, "a task and the lists of its queue contradicted each other, and agree now",
				"queue", q.name, "task", faults[i], "fault", string(f))
		}
		c.visits += int(listed) * len(some)
		ids = ids[len(some):]
		size = int(max(1, min(mendBatch, checkVisits/max(listed, 1))))
		if err := c.step(ctx, max(checkRest, took)); err != nil {
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
