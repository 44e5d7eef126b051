package broker

import (
	"context"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// Ring wakes one worker that waits for the queue, in whatever process. Enqueue does it by itself.
func (b *Broker) Ring(ctx context.Context, queue string) error {
	if b.opt.NoWakeUp {
		return nil
	}
	return ringScript.Run(ctx, b.rdb, []string{format.WakeKey(queue)}).Err()
}

var ringScript = format.Script("ring.lua")
