package seckill

import (
	"context"
	"errors"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
)

// queue is what this package wants of the broker. Tests put one in its place that loses tasks.
type queue interface {
	// enqueueIf makes the task that is to place the order if the gate opens, and returns the gate's reply in any case.
	enqueueIf(ctx context.Context, gate broker.Gate, taskID string, args OrderArgs) (reply any, err error)
	// enqueue makes the task that is to place the order, and is content if it is there already.
	enqueue(ctx context.Context, taskID string, args OrderArgs) error
	// info is tasks.Client.Info.
	info(ctx context.Context, taskID string) (*tasks.Info, error)
}

type brokerQueue struct{ client *tasks.Client }

func (q brokerQueue) enqueueIf(ctx context.Context, gate broker.Gate, taskID string, args OrderArgs) (any, error) {
	_, _, reply, err := Order.EnqueueIf(ctx, q.client, gate, args, tasks.MadeID(taskID))
	if errors.Is(err, tasks.ErrDuplicate) {
		err = nil
	}
	return reply, err
}

func (q brokerQueue) enqueue(ctx context.Context, taskID string, args OrderArgs) error {
	_, err := Order.Enqueue(ctx, q.client, args, tasks.MadeID(taskID))
	if errors.Is(err, tasks.ErrDuplicate) {
		return nil
	}
	return err
}

func (q brokerQueue) info(ctx context.Context, taskID string) (*tasks.Info, error) {
	return q.client.Info(ctx, taskID)
}
