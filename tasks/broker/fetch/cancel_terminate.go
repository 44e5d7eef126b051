package fetch

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// terminateCheck is how often a worker asks whether one of its longer tasks is to end, should a message be lost.
const terminateCheck = 5 * time.Second

// listenTerminate receives which running tasks are to end, until the fetcher stops.
func (f *Fetcher) listenTerminate(ctx context.Context) {
	redisx.Subscription{
		Client:     f.b.Redis(),
		Channel:    format.TerminateChannel,
		Subscribed: func() { f.control.look() }, // checkTerminated finds what else was missed
		Message: func(message string) {
			var named []*Delivery
			for line := range strings.Lines(message) {
				queue, id, _ := strings.Cut(strings.TrimSpace(line), " ")
				if queue == format.CommandMark && id == format.LifeTag(f.life.name) {
					f.control.look()
					continue
				}
				if d := f.deliveries.get(format.TaskKey(queue, id)); d != nil {
					named = append(named, d)
				}
			}
			f.terminate(ctx, named)
		},
		Lost: func(err error) {
			f.logger.DebugContext(ctx, "not told which running tasks are to end; they are asked about every 5 s", "error", err)
		},
	}.Run(ctx)
}

// checkTerminated asks regularly about the tasks that have run for a while.
func (f *Fetcher) checkTerminated(ctx context.Context) {
	ticker := time.NewTicker(terminateCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.terminate(ctx, f.deliveries.olderThan(terminateCheck/2))
		}
	}
}

// terminate ends those of the deliveries that were revoked with terminate.
func (f *Fetcher) terminate(ctx context.Context, deliveries []*Delivery) {
	if len(deliveries) == 0 {
		return
	}
	pipe := f.b.Redis().Pipeline()
	answers := make([]*redis.SliceCmd, len(deliveries))
	for i, d := range deliveries {
		answers[i] = pipe.HMGet(ctx, d.fetched.key, "owner", "terminate", "revoked")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		f.logger.DebugContext(ctx, "not known whether running tasks are to end; the next check tells", "error", err)
		return
	}
	for i, d := range deliveries {
		held := answers[i].Val()
		if held[0] == d.fetched.token && held[1] == "1" {
			reason, _ := held[2].(string)
			d.terminate(reason)
		}
	}
}

// olderThan lists the deliveries that began so long ago.
func (d *deliveries) olderThan(age time.Duration) []*Delivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []*Delivery
	now := time.Now()
	for _, one := range d.byKey {
		if now.Sub(one.begun) >= age {
			list = append(list, one)
		}
	}
	return list
}
