package fetch

import (
	"context"
	"fmt"
	"time"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	// takeoverTime is how long a worker that takes over tasks may be silent before another does it.
	takeoverTime = 5 * time.Second
	// walkPause is how often, at most, the list of active tasks is searched for those without a lease.
	walkPause = 30 * time.Second
	// leaseMargin is how long a lease must have ended before it means that the worker is dead: so much may clocks differ.
	// It counts for tasks of which no life tells who has them.
	leaseMargin = 30 * time.Second
	// lapsedLimit bounds the ended leases that one beat looks at.
	lapsedLimit = 64
)

// The standing of a life as Redis has it when a beat comes.
const (
	standingEnded = -1 // its tasks are being taken over
	standingNew   = 0  // unknown until this beat
	standingAlive = 1  // nobody has touched its tasks
)

// beatAnswer is what a beat learns of one queue.
type beatAnswer struct {
	queue    string
	standing int64
	unleased bool     // there are active tasks without a lease, and this worker is to look for them
	own      []string // ids of tasks of this life whose leases ended long ago
	lost     []held   // the same, of no life that is known
	ended    []string // lives whose tasks this worker is to take over
}

// held is an active task and the token of who has it, "" without one.
type held struct{ id, owner string }

// sendBeat is one script, or on a Redis Cluster one for each queue in one round trip.
func (f *Fetcher) sendBeat(ctx context.Context) ([]beatAnswer, error) {
	groups := f.b.Together(f.control.bound())
	calls := make([]*redisx.Call, len(groups))
	limit := f.life.limit.Milliseconds()
	for i, queues := range groups {
		c := &redisx.Call{Script: beatScript, Args: []any{
			f.life.name, limit, limit / 2, takeoverTime.Milliseconds(), walkPause.Milliseconds(), int(leaseMargin.Seconds()), lapsedLimit,
		}}
		for _, q := range queues {
			c.Keys = append(c.Keys, format.LivesKey(q), format.EndedKey(q), format.ActiveKey(q), format.LeaseKey(q))
			c.Args = append(c.Args, format.TaskKeyPrefix(q))
		}
		calls[i] = c
	}
	redisx.RunScripts(ctx, f.b.Redis(), calls)
	var answers []beatAnswer
	for i, c := range calls {
		reply, err := c.Cmd.Slice()
		if err != nil {
			return nil, err
		}
		if len(reply) != len(groups[i]) {
			return nil, fmt.Errorf("unexpected reply of the beat script: %v", reply)
		}
		for n, q := range groups[i] {
			parts, _ := reply[n].([]any)
			if len(parts) != 5 {
				return nil, fmt.Errorf("unexpected reply of the beat script: %v", reply[n])
			}
			a := beatAnswer{queue: q, unleased: parts[1] == int64(1), own: format.Texts(parts[2]), ended: format.Texts(parts[4])}
			a.standing, _ = parts[0].(int64)
			a.lost = pairs(format.Texts(parts[3]))
			answers = append(answers, a)
		}
	}
	return answers, nil
}

// pairs reads ids and tokens in turn.
func pairs(list []string) []held {
	out := make([]held, 0, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		out = append(out, held{list[i], list[i+1]})
	}
	return out
}

var beatScript = format.Script("fetch/life_beat.lua")

var leaveScript = format.Script("fetch/life_leave.lua")
