package tasks

import (
	"context"

	"github.com/paidui/paidui/tasks/broker"
)

// Infos looks up many tasks in few round trips. They come in the order of refs, nil for what is no task. What is encrypted
// stays so: see Decrypt.
func (c *Client) Infos(ctx context.Context, refs []broker.Ref) ([]*Info, error) {
	found, err := c.broker.FindMany(ctx, refs)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, lookupError(ctx, "in a batch", err)
	}
	infos := make([]*Info, len(found))
	for i, r := range found {
		if r != nil {
			infos[i] = newInfo(r)
		}
	}
	return infos, nil
}
