package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// On a Redis Cluster no script sees all queues. Whoever enqueues a task with a chosen id there claims the id first, then
// looks for it in all queues, stores the task in its own, and gives the claim up. So of two who choose the same id at the
// same time for different queues, the second finds the task of the first.
//
// A claim is a lock for the moments in between, and no record of who has the id: that is the task. Nothing has to be undone
// when a task ends or is forgotten. Whoever dies with a claim keeps only other queues from the id, for claimTime; the same
// call, repeated, takes the claim over.
const (
	// claimTime is how long a claim holds at most. It is longer than claimUse and the longest time for which go-redis may
	// still send what it was given.
	claimTime = time.Minute
	// claimUse is for how long after its claim a task may be sent.
	claimUse = 20 * time.Second
	// claimWait is how long a call waits for the claim of another queue.
	claimWait  = 5 * time.Second
	claimPause = 25 * time.Millisecond
)

var errClaimed = errors.New("another call, for another queue, is about to use the id")

// claimKey is not in a queue's slot.
func claimKey(id string) string { return "paidui:claim:{" + id + "}" }

// submitClaimed is submit for messages some of whose ids were chosen, on a Redis Cluster.
func (b *Broker) submitClaimed(ctx context.Context, messages []*Message) []Receipt {
	receipts := make([]Receipt, 0, len(messages))
	for len(messages) > 0 {
		some := distinct(messages)
		receipts = append(receipts, b.submitDistinct(ctx, some)...)
		messages = messages[len(some):]
	}
	return receipts
}

// distinct are the first messages that have different ids.
func distinct(messages []*Message) []*Message {
	seen := make(map[string]bool, len(messages))
	for i, m := range messages {
		if seen[m.ID] || i == manyBatch {
			return messages[:i]
		}
		seen[m.ID] = true
	}
	return messages
}

func (b *Broker) submitDistinct(ctx context.Context, messages []*Message) []Receipt {
	receipts := make([]Receipt, len(messages))
	token := uuid.NewString()
	until := time.Now().Add(claimUse)
	claimed, err := b.claim(ctx, messages, token, receipts)
	defer b.giveUp(claimed, token)
	if err == nil {
		err = b.lookFor(ctx, claimed, receipts)
	}
	if err == nil && time.Now().After(until) {
		err = errors.New("the claims of ids have been held for too long")
	}
	var free []*Message
	var of []int
	for i, m := range messages {
		switch {
		case receipts[i].Outcome != Unknown || receipts[i].Err != nil:
		case err != nil:
			receipts[i].Err = fmt.Errorf("claim the id of task %s: %w", m.ID, err)
		default:
			free, of = append(free, m), append(of, i)
		}
	}
	for i, r := range b.store(ctx, nil, free...) {
		receipts[of[i]] = r
		if r.Err != nil { // the task may come yet
			delete(claimed, of[i])
		}
	}
	return receipts
}

// claim claims the chosen ids. It waits while another queue has the claim of one of them; an id that it does not get has an
// error in its receipt, or is Taken because its task has come meanwhile.
func (b *Broker) claim(ctx context.Context, messages []*Message, token string, receipts []Receipt) (claimed map[int]*Message, err error) {
	open := make(map[int]*Message)
	for i, m := range messages {
		if m.Chosen {
			open[i] = m
		}
	}
	claimed = make(map[int]*Message, len(open))
	for begun := time.Now(); ; {
		calls := make(map[int]*redisx.Call, len(open))
		list := make([]*redisx.Call, 0, len(open))
		for i, m := range open {
			calls[i] = &redisx.Call{Script: claimScript, Keys: []string{claimKey(m.ID)}, Args: []any{m.Queue, token, claimTime.Milliseconds()}}
			list = append(list, calls[i])
		}
		redisx.RunScripts(ctx, b.rdb, list)
		for i, c := range calls {
			mine, err := c.Cmd.Bool()
			if err != nil {
				return claimed, err
			}
			if mine {
				claimed[i] = open[i]
				delete(open, i)
			}
		}
		if len(open) == 0 {
			return claimed, nil
		}
		if time.Since(begun) > claimWait {
			break
		}
		select {
		case <-ctx.Done():
			return claimed, ctx.Err()
		case <-time.After(claimPause):
		}
		if err := b.lookFor(ctx, open, receipts); err != nil {
			return claimed, err
		}
		for i := range open {
			if receipts[i].Outcome == Taken {
				delete(open, i)
			}
		}
	}
	for i := range open {
		receipts[i].Err = errClaimed
	}
	return claimed, nil
}

// lookFor marks those of the messages as Taken whose ids some queue has.
func (b *Broker) lookFor(ctx context.Context, messages map[int]*Message, receipts []Receipt) error {
	if len(messages) == 0 {
		return nil
	}
	queues, err := b.rdb.SMembers(ctx, format.AllQueuesKey).Result()
	if err != nil {
		return fmt.Errorf("list queues: %w", err)
	}
	var refs []Ref
	var of []int
	for i, m := range messages {
		for _, queue := range queues {
			if queue != m.Queue {
				refs, of = append(refs, Ref{queue, m.ID}), append(of, i)
			}
		}
	}
	states, err := b.States(ctx, refs)
	if err != nil {
		return err
	}
	for i, state := range states {
		if state != "" {
			receipts[of[i]] = Receipt{Outcome: Taken, Other: true}
		}
	}
	return nil
}

// giveUp ends claims. One that it can't end expires.
func (b *Broker) giveUp(claimed map[int]*Message, token string) {
	ctx, cancel := context.WithTimeout(context.Background(), claimWait)
	defer cancel()
	if len(claimed) == 0 {
		return
	}
	list := make([]*redisx.Call, 0, len(claimed))
	for _, m := range claimed {
		list = append(list, &redisx.Call{Script: unclaimScript, Keys: []string{claimKey(m.ID)}, Args: []any{m.Queue, token}})
	}
	redisx.RunScripts(ctx, b.rdb, list)
}

var claimScript = format.Script("enqueue_claim.lua")

var unclaimScript = format.Script("enqueue_unclaim.lua")
