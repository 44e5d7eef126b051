package fetch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	ackBatch = 128
	ackLanes = 1
	// The pauses between tries while Redis does not answer. They go on until it does; once the fetcher has stopped, for
	// lastTries.
	firstPause = 50 * time.Millisecond
	maxPause   = time.Second
	lastTries  = 5 * time.Second
)

// acknowledgement is the end of a delivery on its way.
type acknowledgement struct {
	call   redisx.Call // as asynq makes it, its script fenced; nil for a script that joins others
	token  string
	result []byte
	record []byte // of the attempt
	cmd    *redis.Cmd
	fenced bool
	done   chan struct{} // receives once
}

var acknowledgements = sync.Pool{New: func() any { return &acknowledgement{done: make(chan struct{}, 1)} }}

// acknowledge ends a delivery, together with others. Its caller runs a task, so nothing waits for it but a slot; while
// Redis does not answer it tries again, as the task would otherwise run a second time: the life of this worker may outlast
// a Redis that is away. script is nil for done and complete.
func (f *Fetcher) acknowledge(ctx context.Context, task int, d *Delivery, script *redisx.Script, keys []string, args []any) *redis.Cmd {
	if err := ctx.Err(); err != nil { // the lease has ended: the delivery may be a later one, with its own token
		return failed(ctx, err)
	}
	d.ending.Store(true)
	if requeues(keys) {
		d.putBack()
	}
	var t tries
	for {
		cmd, fenced := f.acknowledgeOnce(redisx.Call{Script: script, Keys: keys, Args: args}, d)
		err := cmd.Err()
		if err == nil || redis.HasErrorPrefix(err, "NOT FOUND") || redis.HasErrorPrefix(err, "INTERNAL") {
			f.deliveries.drop(keys[task], d)
			if fenced && t.n == 0 { // a repetition is fenced by its first try
				f.warnOfLate(ctx, keys[task])
			}
			return cmd
		}
		if refuses(err) && t.end.IsZero() {
			t.end = time.Now().Add(format.LeaseTime)
		}
		if !f.again(&t) {
			f.deliveries.drop(keys[task], d)
			return cmd
		}
	}
}

// refuses tells whether Redis understood and said no, for a reason that does not pass by itself.
func refuses(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && !slices.ContainsFunc(passing, func(prefix string) bool { return redis.HasErrorPrefix(err, prefix) })
}

// passing begin the errors of a Redis that starts, fails over, is full or busy.
var passing = []string{
	"LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "MOVED", "ASK", "OOM", "BUSY", "MISCONF", "NOREPLICAS",
	"UNBLOCKED", "NOAUTH", "WRONGPASS", "NOPERM", "ERR max number of clients",
}

// tries are those of one call that is repeated while Redis does not answer. The zero tries are none.
type tries struct {
	n        int
	pause    time.Duration
	end      time.Time // zero while there is none
	stopping bool      // the fetcher has stopped, and end goes by that
}

// again waits before the next try. It is false when there is to be none.
func (f *Fetcher) again(t *tries) bool {
	stop := f.closed
	if f.stopped() {
		stop = nil
		if last := time.Now().Add(lastTries); !t.stopping && (t.end.IsZero() || last.Before(t.end)) {
			t.end = last
		}
		t.stopping = true
	}
	if f.b.Closing().Err() != nil || !t.end.IsZero() && !time.Now().Before(t.end) {
		return false
	}
	t.n++
	t.pause = min(max(2*t.pause, firstPause), maxPause)
	timer := time.NewTimer(t.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stop:
	case <-f.b.Closing().Done():
	}
	return true
}

// acknowledgeOnce waits for the next batch, as long as the client's own time limits let it take.
func (f *Fetcher) acknowledgeOnce(c redisx.Call, d *Delivery) (cmd *redis.Cmd, fenced bool) {
	a := acknowledgements.Get().(*acknowledgement)
	a.call, a.token = c, d.fetched.token
	a.result, a.record = d.kept()
	f.acks.Add(a)
	<-a.done
	cmd, fenced = a.cmd, a.fenced
	*a = acknowledgement{done: a.done}
	acknowledgements.Put(a)
	return cmd, fenced
}

// flushAcks sends a batch in one round trip: one script for the tasks of a queue that are done or complete, one for
// each other.
func (f *Fetcher) flushAcks(batch []*acknowledgement) {
	ctx := context.Background() // the client's own time limits hold
	calls := make([]*redisx.Call, 0, 1)
	of := make([][]*acknowledgement, 0, 1) // by call
	joined := make(map[string]int, 1)      // by the day's counter, which has the queue and the date
	for _, a := range batch {
		if a.call.Script != nil {
			queue := format.KeyQueue(a.call.Keys[0])
			a.call.Args = append(append(make([]any, 0, len(a.call.Args)+4), a.call.Args...), a.token, a.result, a.record, format.OwnPrefix(queue))
			calls, of = append(calls, &a.call), append(of, []*acknowledgement{a})
			continue
		}
		day := finishDay(a.call.Keys)
		at, ok := joined[day]
		if !ok {
			at = len(of)
			joined[day] = at
			calls, of = append(calls, nil), append(of, make([]*acknowledgement, 0, len(batch)))
		}
		of[at] = append(of[at], a)
	}
	for i, group := range of {
		if calls[i] == nil {
			calls[i] = finishCall(group)
		}
	}
	redisx.RunScripts(ctx, f.b.Redis(), calls)
	for i, group := range of {
		settle(ctx, calls[i].Cmd, group)
	}
}

// settle gives each its answer.
func settle(ctx context.Context, cmd *redis.Cmd, group []*acknowledgement) {
	var fenced []any
	if group[0].call.Script == nil {
		fenced, _ = cmd.Slice()
	}
	for i, a := range group {
		a.cmd = cmd
		switch {
		case cmd.Err() != nil:
		case a.call.Script != nil:
			a.fenced = cmd.Val() == fencedReply
		case i < len(fenced):
			a.fenced = fenced[i] == int64(0)
		}
		a.done <- struct{}{}
	}
}

// finishes tells a call of asynq's done or complete: active, lease, then the task, or the completed set and the task;
// then the processed counters, of the day and in all, and the uniqueness if there is one.
func finishes(keys []string) bool {
	return len(keys) >= 5 && strings.HasSuffix(keys[0], format.ActiveSuffix) &&
		(strings.Contains(keys[2], format.TaskInfix) || strings.HasSuffix(keys[2], format.CompletedSuffix))
}

func completes(keys []string) bool { return strings.HasSuffix(keys[2], format.CompletedSuffix) }

func finishDay(keys []string) string {
	if completes(keys) {
		return keys[4]
	}
	return keys[3]
}

// finishCall joins calls of done (ARGV id, end of the statistics, largest number) and complete (id, end of the
// statistics, end of the retention, message, largest number) for one queue and day.
func finishCall(group []*acknowledgement) *redisx.Call {
	c := &redisx.Call{
		Script: finishScript,
		Keys:   make([]string, 0, 5+2*len(group)),
		Args:   make([]any, 0, 2+7*len(group)),
	}
	first := group[0].call.Keys
	queue, _ := format.Between(first[0], format.ActiveSuffix)
	c.Keys = append(c.Keys, first[0], first[1], format.CompletedKey(queue), finishDay(first), format.ProcessedKey(queue))
	c.Args = append(c.Args, group[0].call.Args[1], format.OwnPrefix(queue))
	for _, a := range group {
		keys, args := a.call.Keys, a.call.Args
		var until, message any = "", ""
		own := keys[2:]
		if completes(keys) {
			own = keys[3:]
			until, message = args[2], args[3]
		}
		unique := 0
		c.Keys = append(c.Keys, own[0])
		if len(own) > 3 {
			unique = 1
			c.Keys = append(c.Keys, own[3])
		}
		c.Args = append(c.Args, args[0], a.token, unique, until, message, a.result, a.record)
	}
	return c
}

// finishScript KEYS: active, lease, completed, processed of the day, processed in all; then each task and, if it has one,
// its uniqueness. ARGV: end of the day's counter (s), prefix of our keys; then for each: id, token, 1 with uniqueness, end
// of the retention (s) or ”, message, result, record of the attempt. It does what asynq's done (no retention: the task is
// deleted) and markAsComplete do, for tasks that are still this worker's, and returns for each 1, or 0 if it is not.
var finishScript = redisx.NewScript(format.LuaEvents + format.LuaAttempt + `
local out, gone, leases, kept, events = {}, {}, {}, {}, {}
local k, n = 6, 0
for a = 3, #ARGV, 7 do
	local key, id = KEYS[k], ARGV[a]
	local unique = ARGV[a + 2] == '1' and KEYS[k + 1]
	k = k + (unique and 2 or 1)
	local held = redis.call('HMGET', key, 'owner', 'state', 'watch', 'tags', 'attempts')
	local mine = held[1] == ARGV[a + 1] and held[2] == 'active'
	out[#out + 1] = mine and 1 or 0
	if mine then
		n = n + 1
		redis.call('LREM', KEYS[1], -1, id)
		leases[#leases + 1] = id
		if ARGV[a + 3] == '' then
			gone[#gone + 1] = key
		else
			kept[#kept + 1] = ARGV[a + 3]
			kept[#kept + 1] = id
			if not held[5] and ARGV[a + 6] ~= '' then
				redis.call('HSET', key, 'msg', ARGV[a + 4], 'state', 'completed', 'result', ARGV[a + 5], 'attempts', ARGV[a + 6])
			else
				redis.call('HSET', key, 'msg', ARGV[a + 4], 'state', 'completed', 'result', ARGV[a + 5])
				attempt(key, ARGV[a + 6], held[5])
			end
		end
		if unique and redis.call('GET', unique) == id then gone[#gone + 1] = unique end
		if held[3] then events[#events + 1] = '.' .. id end
		if held[4] then
			for tag in string.gmatch(held[4], '[^ ]+') do redis.call('SREM', ARGV[2] .. 'tag:' .. tag, id) end
		end
	end
end
if n == 0 then return out end
redis.call('ZREM', KEYS[2], unpack(leases))
if #gone > 0 then redis.call('DEL', unpack(gone)) end
if #kept > 0 then redis.call('ZADD', KEYS[3], unpack(kept)) end
if redis.call('INCRBY', KEYS[4], n) == n then redis.call('EXPIREAT', KEYS[4], ARGV[1]) end
if tonumber(redis.call('GET', KEYS[5]) or 0) >= 9e18 then redis.call('SET', KEYS[5], 0) end
redis.call('INCRBY', KEYS[5], n)
publish(events)
return out
`)

func failed(ctx context.Context, err error) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(err)
	return cmd
}
