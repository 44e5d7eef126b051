package broker

import (
	"context"
	"fmt"
	"slices"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// RerunResult tells what became of one of many tasks that were to run again.
type RerunResult struct {
	Outcome RerunOutcome
	Err     error       // the judge's: the task was left alone
	Task    *StoredTask // as it was before; nil without one
}

// RerunMany is Rerun for those of the tasks of a queue that have failed and are dead letters. Others are left alone: their
// outcome is NoTask, and their Task says where they stand. The ids must differ. The answers come in their order; together with an
// error they tell what became of the tasks before it, and the same call again takes the rest.
func (b *Broker) RerunMany(ctx context.Context, queue string, ids []string, judge Judge) ([]RerunResult, error) {
	results := make([]RerunResult, 0, len(ids))
	for some := range slices.Chunk(ids, rerunBatch) {
		batch, err := b.rerunSome(ctx, queue, some, judge)
		if err != nil {
			return results, fmt.Errorf("run tasks of queue %s again: %w", queue, err)
		}
		results = append(results, batch...)
	}
	return results, nil
}

func (b *Broker) rerunSome(ctx context.Context, queue string, ids []string, judge Judge) ([]RerunResult, error) {
	r := rerunner{b: b, queue: queue, judge: judge, command: newCommand()}
	batch := make([]*rerun, len(ids))
	for i, id := range ids {
		batch[i] = &rerun{id: id}
	}
	results := make([]RerunResult, len(ids))
	open := make([]int, len(ids)) // indexes of the tasks without an answer
	for i := range ids {
		open[i] = i
	}
	for len(open) > 0 {
		list := make([]*rerun, len(open))
		for n, i := range open {
			list[n] = batch[i]
		}
		if err := r.read(ctx, list...); err != nil {
			return nil, err
		}
		var dead []*rerun
		var of []int
		for _, i := range open {
			one := batch[i]
			results[i] = RerunResult{Err: one.err, Task: one.task}
			if one.err == nil && one.task != nil && one.task.State == "archived" {
				dead, of = append(dead, one), append(of, i)
			}
		}
		if err := r.rerun(ctx, dead...); err != nil {
			return nil, err
		}
		open = nil
		for n, one := range dead {
			if one.changed {
				open = append(open, of[n])
				continue
			}
			results[of[n]].Outcome = one.outcome
		}
	}
	return results, nil
}

// RevokeMany is Revoke for many tasks of a queue. The answers come in the order of the ids.
func (b *Broker) RevokeMany(ctx context.Context, queue string, ids []string, reason string, terminate bool) ([]Revocation, error) {
	list, err := b.newRevoker(queue, reason, terminate).revoke(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("revoke tasks of queue %s: %w", queue, err)
	}
	return list, nil
}

// forgetBatch is how many tasks are forgotten in one round trip.
const forgetBatch = 200

// ForgetMany is Forget for many tasks of a queue. The states come in the order of the ids.
func (b *Broker) ForgetMany(ctx context.Context, queue string, ids []string) ([]string, error) {
	states := make([]string, 0, len(ids))
	for some := range slices.Chunk(ids, forgetBatch) {
		calls := make([]*redisx.Call, len(some))
		for i, id := range some {
			calls[i] = &redisx.Call{
				Script: forgetScript,
				Keys:   []string{format.TaskKey(queue, id), format.CompletedKey(queue), format.ArchivedKey(queue)},
				Args:   []any{id, format.OwnPrefix(queue)},
			}
		}
		redisx.RunScripts(ctx, b.rdb, calls)
		for i, c := range calls {
			state, err := c.Cmd.Text()
			if err != nil {
				return nil, fmt.Errorf("forget task %s: %w", some[i], err)
			}
			states = append(states, state)
		}
	}
	return states, nil
}
