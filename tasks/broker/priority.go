package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// PriorityOutcome is what became of a task that was to have another priority.
type PriorityOutcome int

// The outcomes of SetPriority.
const (
	PriorityAbsent  PriorityOutcome = iota // there is no such task
	PrioritySet                            // it has the priority, by this call or before
	PriorityNotSet                         // it does not wait
	PriorityTooMany                        // too many tasks wait beside it: see PriorityList
)

const (
	// PriorityList is the longest list of waiting tasks, of one queue and priority, that a task is taken out of: Redis goes through
	// it, the latest first, which takes a millisecond.
	PriorityList = 100_000
	// priorityVisits is about how many elements of lists one script passes by, at most.
	priorityVisits = 100_000
	priorityBatch  = 100
)

var errPriorityReply = errors.New("unexpected reply of the priority script")

// SetPriority gives tasks of a queue that wait, for a worker, their time or their next attempt, another priority: high, low, or
// "" for normal. Those that wait for a worker go before those of the priority that wait already, the first of ids last: when ids
// are from the latest to the oldest task, the oldest comes first. The outcomes come in the order of ids.
func (b *Broker) SetPriority(ctx context.Context, queue string, ids []string, priority string) ([]PriorityOutcome, error) {
	outcomes := make([]PriorityOutcome, 0, len(ids))
	for len(outcomes) < len(ids) {
		some := ids[len(outcomes):min(len(ids), len(outcomes)+priorityBatch)]
		keys := []string{format.PendingKey(queue), format.HighKey(queue), format.LowKey(queue)}
		args := []any{priority, b.priorityList, priorityVisits}
		for _, id := range some {
			keys, args = append(keys, format.TaskKey(queue, id)), append(args, id)
		}
		words, err := priorityScript.Run(ctx, b.rdb, keys, args...).StringSlice()
		if err == nil && (len(words) == 0 || len(words) > len(some)) {
			err = fmt.Errorf("%w: %d answers for %d tasks", errPriorityReply, len(words), len(some))
		}
		if err != nil {
			return nil, fmt.Errorf("set the priority of tasks of queue %s: %w", queue, err)
		}
		for _, word := range words {
			outcome := PriorityNotSet
			switch word {
			case "absent":
				outcome = PriorityAbsent
			case "done":
				outcome = PrioritySet
			case "long":
				outcome = PriorityTooMany
			}
			outcomes = append(outcomes, outcome)
		}
	}
	return outcomes, nil
}

var priorityScript = format.Script("priority.lua")
