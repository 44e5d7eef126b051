package seckill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
)

// What became of a ticket, in the numbers of the HTTP contract.
const (
	CodeOrdered  = 100 // there is an order
	CodeRefused  = 101 // there will be none
	CodeRetrying = 102 // an attempt failed; another follows
	CodeQueued   = 103 // waiting or running
)

// Outcome is what became of a ticket.
type Outcome struct {
	Code   int         // CodeOrdered, CodeRefused, CodeRetrying or CodeQueued
	Reason string      // with CodeRefused: one of ReasonSoldOut, ReasonUnknownGoods, ReasonFailed, ReasonRevoked
	Order  *shop.Order // with CodeOrdered
}

// maxLookups is how many searches for tickets that the broker does not know run at a time. Anyone may ask for
// any id, and an id that never was costs a query; what such questions can use up is bounded, and others go on.
const maxLookups = 4

// Outcome tells what became of the task, or returns tasks.ErrNotFound when it is unknown or no order of a seckill. It
// finds the order of a ticket even when the task itself is long forgotten.
func (s *Sales) Outcome(ctx context.Context, taskID string) (Outcome, error) {
	info, err := s.queue.info(ctx, taskID)
	if errors.Is(err, tasks.ErrNotFound) {
		return s.withoutTask(ctx, taskID)
	}
	if err != nil {
		return Outcome{}, err
	}
	if info.Task != Order.Name() {
		return Outcome{}, fmt.Errorf("task %s is no order: %w", taskID, tasks.ErrNotFound)
	}
	switch info.State {
	case tasks.StateSuccess:
		return s.finished(ctx, info)
	case tasks.StateFailure:
		return s.orderOrRefusal(ctx, taskID, ReasonFailed)
	case tasks.StateRevoked:
		return s.orderOrRefusal(ctx, taskID, ReasonRevoked)
	case tasks.StateRetry:
		return Outcome{Code: CodeRetrying}, nil
	}
	return Outcome{Code: CodeQueued}, nil
}

func (s *Sales) finished(ctx context.Context, info *tasks.Info) (Outcome, error) {
	var result OrderResult
	if err := json.Unmarshal(info.Result, &result); err != nil {
		return Outcome{}, fmt.Errorf("task %s: decode result: %w", info.ID, err)
	}
	if !result.OK {
		return Outcome{Code: CodeRefused, Reason: result.Reason}, nil
	}
	return Outcome{Code: CodeOrdered, Order: result.order()}, nil
}

// orderOrRefusal is for a task that ended badly, which it may have done after its order was committed. That there is none is
// for the database alone to say.
func (s *Sales) orderOrRefusal(ctx context.Context, taskID, reason string) (Outcome, error) {
	order, err := s.store.orderBy(ctx, taskID)
	if err == nil && order == nil {
		order, err = s.store.orderByLocking(ctx, taskID)
	}
	if err != nil {
		return Outcome{}, err
	}
	if order != nil {
		return Outcome{Code: CodeOrdered, Order: order}, nil
	}
	return Outcome{Code: CodeRefused, Reason: reason}, nil
}

// isTicket reports whether Enter can have made the id.
func isTicket(id string) bool {
	queue, unique, _ := strings.Cut(id, "_")
	return queue == queueName && len(unique) == 36 && uuid.Validate(unique) == nil
}

// withoutTask is for a task that the broker does not know: forgotten since it ended, or lost and about to be enqueued
// again.
func (s *Sales) withoutTask(ctx context.Context, taskID string) (Outcome, error) {
	if !isTicket(taskID) {
		return Outcome{}, fmt.Errorf("task %q: %w", taskID, tasks.ErrNotFound)
	}
	select {
	case s.lookups <- struct{}{}:
		defer func() { <-s.lookups }()
	case <-ctx.Done():
		return Outcome{}, fmt.Errorf("look for task %s: %w", taskID, ctx.Err())
	}
	order, err := s.store.orderBy(ctx, taskID)
	if err != nil {
		return Outcome{}, err
	}
	if order != nil {
		return Outcome{Code: CodeOrdered, Order: order}, nil
	}
	reserved, err := s.ledger.reserved(ctx, taskID)
	if err != nil {
		return Outcome{}, err
	}
	if !reserved {
		return Outcome{}, fmt.Errorf("task %s: %w", taskID, tasks.ErrNotFound)
	}
	return Outcome{Code: CodeQueued}, nil
}
