package tasks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/paidui/paidui/models/visible"
	"github.com/paidui/paidui/tasks/broker"
)

// ManyOutcome is what became of one of many tasks.
type ManyOutcome string

const (
	ManyDone  ManyOutcome = "done"  // it is as asked, by this call or by an earlier one of the same name
	ManyUnfit ManyOutcome = "unfit" // it is in another state, and was left alone
	ManyGone  ManyOutcome = "gone"  // Redis does not know it
)

// ManyResult tells what became of one of many tasks. With an Err it was left alone, and its Outcome is ManyUnfit.
type ManyResult struct {
	Outcome ManyOutcome
	Err     error
}

// TaskRef names a task and the queue in which it is.
type TaskRef struct{ Queue, ID string }

// maxCallName bounds the name of a call for many tasks, in bytes.
const maxCallName = 128

func checkCallName(name string) error {
	if len(name) > maxCallName || !visible.Line(name) {
		return optionErrorf("name", "want 1 to %d bytes of visible text in one line", maxCallName)
	}
	return nil
}

// RetryMany is Retry for those of the tasks that are in FAILURE, in few round trips. Others are ManyUnfit, and so is one whose
// expiry has passed, with a *StateError. Each task keeps the name of the last call that has run it again: the same call, repeated
// after an error or by another process, does not run a task again that it has run again already, even if that has failed
// once more. The answers come in the order of refs, which must differ; together with an error there are none, and some tasks run
// again.
//
// to gets the records that the client's history would get, which may be lost with this process; nil is that history.
func (c *Client) RetryMany(ctx context.Context, name string, refs []TaskRef, to Recorder) ([]ManyResult, error) {
	if err := checkCallName(name); err != nil {
		return nil, err
	}
	done := errors.New("it was run again by this call")
	call := headerCall + ":" + name
	return c.many(ctx, refs, func(queue string, ids []string) ([]ManyResult, error) {
		list, err := c.broker.RerunMany(ctx, queue, ids, func(task *broker.StoredTask, fresh bool) ([]broker.Header, error) {
			if task.Headers[call] != "" {
				return nil, done
			}
			if task.State != "archived" {
				return nil, nil
			}
			headers, err := c.mayRunAgain(task, fresh)
			return append(headers, broker.Header{Key: call, Value: "1"}), err
		})
		results := make([]ManyResult, len(list))
		for i, one := range list {
			switch {
			case one.Outcome == broker.Fresh:
				if r, ok := c.rerunRecord(one.Task); ok {
					cmp.Or(to, c.history).Record(r)
				}
				results[i].Outcome = ManyDone
			case one.Task == nil:
				results[i].Outcome = ManyGone
			case errors.Is(one.Err, done), one.Task.Headers[call] != "":
				results[i].Outcome = ManyDone
				if r, ok := c.historyRecord(one.Task); ok { // who did it may have died before it wrote this
					r.State, r.Attempt, r.Retries = StatePending, 0, 0
					cmp.Or(to, c.history).Record(r)
				}
			default:
				results[i] = ManyResult{ManyUnfit, one.Err}
			}
		}
		return results, err
	})
}

// RevokeMany is Revoke for many tasks, in few round trips. One that has ended otherwise is ManyUnfit; one that was revoked before
// is, too, unless it was for the same reason. The answers come in the order of refs, which must differ; together with an error
// there are none, and some tasks are revoked.
func (c *Client) RevokeMany(ctx context.Context, refs []TaskRef, opts ...RevokeOption) ([]ManyResult, error) {
	how, err := newRevocation(opts)
	if err != nil {
		return nil, err
	}
	return c.many(ctx, refs, func(queue string, ids []string) ([]ManyResult, error) {
		list, err := c.broker.RevokeMany(ctx, queue, ids, how.reason, how.terminate)
		if err != nil {
			return nil, err
		}
		results := make([]ManyResult, len(list))
		for i, one := range list {
			switch one.Outcome {
			case broker.Absent:
				removed, err := c.revokeOutbox(ctx, ids[i], how.reason)
				if err != nil {
					return nil, err
				}
				results[i].Outcome = ManyGone
				if removed {
					results[i].Outcome = ManyDone
				}
				continue
			case broker.Revoked, broker.Running:
				c.noteRevoked(one, how.reason)
				results[i].Outcome = ManyDone
				continue
			case broker.RevokedAlready:
				if reason, _ := strings.CutPrefix(string(one.Task.Result), broker.RevokedPrefix); reason == how.reason {
					c.noteRevoked(broker.Revocation{Outcome: broker.Revoked, Task: one.Task}, how.reason) // who did it may have died first
					results[i].Outcome = ManyDone
					continue
				}
			}
			results[i].Outcome = ManyUnfit
		}
		return results, nil
	})
}

// ForgetMany is Forget for many tasks, in few round trips. One that has not ended is ManyUnfit. The answers come in the order of
// refs; together with an error there are none, and some tasks are forgotten.
func (c *Client) ForgetMany(ctx context.Context, refs []TaskRef) ([]ManyResult, error) {
	return c.many(ctx, refs, func(queue string, ids []string) ([]ManyResult, error) {
		states, err := c.broker.ForgetMany(ctx, queue, ids)
		if err != nil {
			return nil, err
		}
		results := make([]ManyResult, len(states))
		for i, state := range states {
			switch state {
			case "":
				results[i].Outcome = ManyGone
			case "completed", "archived":
				c.endOutbox(ids[i])
				results[i].Outcome = ManyDone
			default:
				results[i].Outcome = ManyUnfit
			}
		}
		return results, nil
	})
}

// ErrLongQueue says that a task keeps its priority, because so many tasks wait beside it that Redis would take too long to take it
// out: broker.PriorityList.
var ErrLongQueue = fmt.Errorf("more than %d tasks of its queue and priority wait: it keeps its priority", broker.PriorityList)

// PrioritizeMany gives tasks that wait, for a worker, their time or their next attempt, another priority, in few round trips. Others
// are ManyUnfit; so is one that waits for a worker beside more than 100,000 others, with ErrLongQueue. A task that waits for a
// worker goes before those of its new priority that wait already; of those in refs the last one comes first. The answers come in the
// order of refs; together with an error there are none, and some tasks have the priority.
func (c *Client) PrioritizeMany(ctx context.Context, refs []TaskRef, level PriorityLevel) ([]ManyResult, error) {
	if _, known := priorityNames[level]; !known {
		return nil, optionErrorf("priority", "want high, normal or low")
	}
	priority := broker.Priority(level).String()
	if level == Normal {
		priority = ""
	}
	return c.many(ctx, refs, func(queue string, ids []string) ([]ManyResult, error) {
		list, err := c.broker.SetPriority(ctx, queue, ids, priority)
		if err != nil {
			return nil, err
		}
		results := make([]ManyResult, len(list))
		for i, outcome := range list {
			switch outcome {
			case broker.PriorityAbsent:
				results[i].Outcome = ManyGone
			case broker.PrioritySet:
				results[i].Outcome = ManyDone
			case broker.PriorityTooMany:
				results[i] = ManyResult{ManyUnfit, ErrLongQueue}
			default:
				results[i].Outcome = ManyUnfit
			}
		}
		return results, nil
	})
}

// many does something with the tasks of each queue.
func (c *Client) many(ctx context.Context, refs []TaskRef, do func(queue string, ids []string) ([]ManyResult, error)) ([]ManyResult, error) {
	results := make([]ManyResult, len(refs))
	of := make(map[string][]int)
	var queues []string
	for i, ref := range refs {
		if !ValidQueue(ref.Queue) || !ValidID(ref.ID) {
			results[i].Outcome = ManyGone
			continue
		}
		if of[ref.Queue] == nil {
			queues = append(queues, ref.Queue)
		}
		of[ref.Queue] = append(of[ref.Queue], i)
	}
	slices.Sort(queues)
	for _, queue := range queues {
		ids := make([]string, len(of[queue]))
		for n, i := range of[queue] {
			ids[n] = refs[i].ID
		}
		list, err := do(queue, ids)
		if err != nil {
			return nil, brokerError(ctx, err)
		}
		for n, i := range of[queue] {
			results[i] = list[n]
		}
	}
	return results, nil
}
