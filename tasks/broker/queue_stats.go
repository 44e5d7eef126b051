package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// statsBatch bounds the queues of one script, and so how long Redis is kept from others: about a millisecond.
const statsBatch = 32

// QueueStats is how a queue stands. Reading it costs the same whatever the queue's length.
type QueueStats struct {
	Name                        string
	Paused                      *Pause // nil unless it is paused
	High, Normal, Low           int    // pending. Revoked tasks whose ids have not been fetched yet count
	Active, Scheduled, Retry    int
	Dead, Completed             int
	Workers                     int           // that live, and take from it
	Oldest                      time.Duration // for which the oldest task waits that is due, 0 without any
	InLastMinute, OutLastMinute int           // tasks that came, and that a worker ended, in about the last minute
	Memory                      int64         // bytes, estimated by a few tasks; -1 where the server does not tell
}

// Pause is since when a queue is paused, and by whom.
type Pause struct {
	Since time.Time // whole seconds; zero where another program's mark does not say
	By    string    // "" where another program has paused it
}

// QueueStats says how each of the queues stands, in one round trip for every 32.
func (b *Broker) QueueStats(ctx context.Context, names []string) ([]QueueStats, error) {
	size := statsBatch
	if b.cluster {
		size = 1
	}
	var calls []*redisx.Call
	for some := range slices.Chunk(names, size) {
		c := &redisx.Call{Script: queueStatsScript, Args: []any{format.StandardLife.Milliseconds()}}
		for _, q := range some {
			c.Keys = append(c.Keys, format.PendingKey(q), format.HighKey(q), format.LowKey(q), format.ActiveKey(q), format.ScheduledKey(q),
				format.RetryKey(q), format.ArchivedKey(q), format.CompletedKey(q), format.PausedKey(q), format.PausedByKey(q), format.LivesKey(q), format.RatePrefix(q))
			c.Args = append(c.Args, format.TaskKeyPrefix(q))
		}
		calls = append(calls, c)
	}
	if len(calls) == 0 {
		return nil, nil
	}
	redisx.RunScripts(ctx, b.rdb, calls)
	list := make([]QueueStats, 0, len(names))
	for _, c := range calls {
		replies, err := c.Cmd.Slice()
		if err != nil {
			return nil, fmt.Errorf("look at queues: %w", err)
		}
		for _, reply := range replies {
			if len(list) == len(names) {
				break
			}
			one, err := newQueueStats(names[len(list)], reply)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
	}
	if len(list) != len(names) {
		return nil, fmt.Errorf("%w: %d answers for %d queues", errStatsReply, len(list), len(names))
	}
	return list, nil
}

var errStatsReply = errors.New("unexpected reply of the stats script")

// newQueueStats reads what the script says of one queue.
func newQueueStats(name string, reply any) (QueueStats, error) {
	fields, _ := reply.([]any)
	if len(fields) != 16 {
		return QueueStats{}, fmt.Errorf("%w: %v", errStatsReply, reply)
	}
	number := func(i int) int64 { n, _ := fields[i].(int64); return n }
	text := func(i int) string { s, _ := fields[i].(string); return s }
	s := QueueStats{
		Name: name, Normal: int(number(0)), High: int(number(1)), Low: int(number(2)), Active: int(number(3)),
		Scheduled: int(number(4)), Retry: int(number(5)), Dead: int(number(6)), Completed: int(number(7)),
		Workers: int(number(11)), Oldest: time.Duration(max(number(12), 0)) * time.Millisecond,
		InLastMinute: int(number(13)), OutLastMinute: int(number(14)), Memory: number(15),
	}
	if mark := text(8); mark != "" {
		s.Paused = newPause(mark, text(9), text(10))
	}
	return s, nil
}

// newPause reads asynq's mark and what is noted of who set it.
func newPause(mark, since, by string) *Pause {
	p := new(Pause)
	if seconds, err := strconv.ParseInt(mark, 10, 64); err == nil {
		p.Since = format.UnixSecond(seconds)
	}
	if since == mark {
		p.By = by
	}
	return p
}

var queueStatsScript = format.Script("queue_stats.lua")
