package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// enqueueBatch bounds the tasks of one script, and so how long Redis is kept from others: well under a millisecond.
	enqueueBatch = 128
	// waitSpan is how late, at most, the end of a caller's context is noticed.
	waitSpan = 20 * time.Millisecond
	// manyBatch bounds the tasks of one round trip.
	manyBatch = 8 * enqueueBatch
	// enqueueLanes is how many batches are under way at a time: one is made while Redis works on another.
	enqueueLanes = 2
)

// Outcome is what became of a message.
type Outcome int

// The outcomes of Enqueue.
const (
	Unknown  Outcome = iota // see Receipt.Err
	Made                    // the task is in its queue
	Taken                   // a task with the id is there already
	Held                    // another task holds the uniqueness: Receipt.Owner
	Refused                 // the gate said no: Receipt.Reply
	Replaced                // the waiting task Receipt.Owner has the message's payload and headers now
)

// Receipt tells what became of a message.
type Receipt struct {
	Outcome Outcome
	Owner   string // the id of the task that holds the uniqueness, or was replaced
	Reply   any    // what the gate replied
	Err     error  // why it is not known whether the message is stored
}

// Gate is a condition for a message, which Redis judges in the moment of enqueueing. It may be asked again when the answer
// is lost, so it must let the same message in again, or say that it is in.
type Gate struct {
	// Prelude is Lua that reads what Source goes by, with KEYS. It runs once for all messages that are judged together,
	// which have the same Source, Prelude and Keys; its local variables are Source's to use and to change.
	Prelude string
	// Source is the body of a Lua function of KEYS and ARGV. It returns whether to enqueue, and a reply.
	Source string
	Keys   []string
	Args   []any
}

// submission is a message on its way.
type submission struct {
	msg     *Message
	gate    *Gate
	encoded []byte
	unique  string // key, or ""
	receipt *Receipt
	ticket  *ticket
}

// Enqueue stores messages and wakes workers. It returns a receipt for each; those of one queue start in order. Concurrent
// calls share their round trips. When ctx ends first, messages may be stored or not, and every receipt has ctx's error.
// The messages must not change until it returns, and their payloads not until later.
func (b *Broker) Enqueue(ctx context.Context, messages ...*Message) []Receipt {
	return b.submit(ctx, nil, messages...)
}

// EnqueueIf is Enqueue of one message if the gate opens. Gate and enqueue are one script, but on a Redis Cluster, where
// their keys may live apart: there the gate comes first, and a death in between leaves only what the gate has done.
func (b *Broker) EnqueueIf(ctx context.Context, gate Gate, m *Message) Receipt {
	if b.cluster {
		opened, reply, err := b.ask(ctx, gate)
		if err != nil || !opened {
			return Receipt{Outcome: refusedUnless(err), Reply: reply, Err: err}
		}
		receipt := b.submit(ctx, nil, m)[0]
		receipt.Reply = reply
		return receipt
	}
	return b.submit(ctx, &gate, m)[0]
}

func refusedUnless(err error) Outcome {
	if err != nil {
		return Unknown
	}
	return Refused
}

func (b *Broker) submit(ctx context.Context, gate *Gate, messages ...*Message) []Receipt {
	receipts := make([]Receipt, len(messages))
	if len(messages) == 0 {
		return receipts
	}
	ticket := newTicket(len(messages))
	list := make([]submission, len(messages))
	batch := make([]*submission, len(messages))
	for i, m := range messages {
		s := &list[i]
		*s = submission{msg: m, gate: gate, receipt: &receipts[i], ticket: ticket}
		if m.UniqueFor > 0 {
			s.unique = uniqueKey(m.Queue, m.Task, m.Payload)
		}
		s.encoded = m.encode(make([]byte, 0, m.encodedSize(s.unique)), s.unique)
		batch[i] = s
	}
	if len(batch) == 1 {
		b.enqueues.add(batch...)
	} else { // they keep their order
		go func() {
			for some := range slices.Chunk(batch, manyBatch) {
				b.flushEnqueues(some)
			}
		}()
	}
	if err := ticket.wait(ctx, b.soon.after(waitSpan)); err != nil {
		receipts = make([]Receipt, len(messages))
		for i := range receipts {
			receipts[i].Err = err
		}
	}
	return receipts
}

// traceTime is how long a task that has ended must be known still for its message to be sent again: longer than
// go-redis goes on.
const traceTime = 15 * time.Second

// traceless tells whether the task may be done and gone when its message, whose answer was lost, comes again: it would
// run twice. Such a message is sent once, and its caller told that nothing is known of it.
func (s *submission) traceless() bool {
	return s.msg.Retention < traceTime && time.Until(s.msg.At) < traceTime
}

// joins tells whether the submission can go by the same script call as the other.
func (s *submission) joins(other *submission) bool {
	switch {
	case s.msg.Queue != other.msg.Queue || (s.gate == nil) != (other.gate == nil):
		return false
	case s.gate == nil:
		return true
	}
	return s.gate.Source == other.gate.Source && s.gate.Prelude == other.gate.Prelude && len(s.gate.Args) == len(other.gate.Args) &&
		slices.Equal(s.gate.Keys, other.gate.Keys)
}

// flushEnqueues stores a batch in one round trip: one script for up to enqueueBatch messages of a queue, or of a gate.
func (b *Broker) flushEnqueues(batch []*submission) {
	once := slices.ContainsFunc(batch, (*submission).traceless)
	ctx := context.Background() // the client's own time limits hold
	var of [][]*submission      // by call
	for _, s := range batch {
		if s.ticket.abandoned.Load() {
			s.ticket.done()
			continue
		}
		at := len(of) - 1 // the last that it joins: messages keep their order
		for at >= 0 && !s.joins(of[at][0]) {
			at--
		}
		if at < 0 || len(of[at]) == enqueueBatch {
			of = append(of, make([]*submission, 0, min(len(batch), enqueueBatch)))
			at = len(of) - 1
		}
		of[at] = append(of[at], s)
	}
	if len(of) == 0 {
		return
	}
	calls := make([]*call, len(of))
	now := time.Now()
	for i, group := range of {
		calls[i] = b.enqueueCall(group, now)
		calls[i].once = once
	}
	if b.cluster { // asynq's list of queues has another slot than the scripts
		run(ctx, b.rdb, calls, func(p redis.Pipeliner) {
			for _, group := range of {
				p.SAdd(ctx, allQueuesKey, group[0].msg.Queue)
			}
		})
	} else {
		run(ctx, b.rdb, calls)
	}
	for i, group := range of {
		receive(calls[i].cmd, group)
	}
}

// enqueueCall is the script call for messages that join.
func (b *Broker) enqueueCall(group []*submission, now time.Time) *call {
	first := group[0]
	queue := first.msg.Queue
	c := &call{
		script: enqueueScript,
		keys:   make([]string, 0, 4+2*len(group)),
		args:   make([]any, 0, 4+4*len(group)),
	}
	queues, listed := allQueuesKey, queue
	if b.cluster {
		queues, listed = pendingKey(queue), ""
	}
	c.keys = append(c.keys, pendingKey(queue), scheduledKey(queue), wakeKey(queue), queues)
	c.args = append(c.args, now.UnixNano(), b.wakeUps(), listed, len(group))
	if gate := first.gate; gate != nil {
		c.script = b.gates.script(gate)
		c.keys = append(c.keys, gate.Keys...)
		c.args = append(c.args, len(gate.Keys), len(gate.Args))
	}
	for _, s := range group {
		at, unique := int64(0), int64(0)
		if !s.msg.At.IsZero() {
			at = s.msg.At.Unix()
		}
		c.keys = append(c.keys, taskKey(queue, s.msg.ID))
		if s.unique != "" {
			unique = int64((s.msg.UniqueFor + max(s.msg.At.Sub(now), 0)) / time.Second)
			c.keys = append(c.keys, s.unique)
		}
		c.args = append(c.args, s.msg.ID, s.encoded, at, unique)
		if s.gate != nil {
			c.args = append(c.args, s.gate.Args...)
		}
	}
	return c
}

// wakeUps is how many workers one batch wakes: one, which wakes the next if there is more than it can take.
func (b *Broker) wakeUps() int {
	if b.opt.NoWakeUp {
		return 0
	}
	return 1
}

var errReply = errors.New("unexpected reply of the enqueue script")

// receive gives each message its part of the script's reply.
func receive(cmd *redis.Cmd, group []*submission) {
	reply, err := cmd.Slice()
	if err == nil && len(reply) != len(group) {
		err = fmt.Errorf("%w: %d answers for %d tasks", errReply, len(reply), len(group))
	}
	for i, s := range group {
		switch {
		case err != nil:
			s.receipt.Err = err
		case s.gate != nil:
			s.receiveGated(reply[i])
		default:
			s.receive(reply[i])
		}
		s.ticket.done()
	}
}

// receive reads 1 (made), 0 (the id is taken) or the id that holds the uniqueness.
func (s *submission) receive(word any) {
	switch word := word.(type) {
	case int64:
		s.receipt.Outcome = Taken
		if word == 1 {
			s.receipt.Outcome = Made
		}
	case string:
		s.receipt.Outcome, s.receipt.Owner = Held, word
	default:
		s.receipt.Err = fmt.Errorf("%w: %v", errReply, word)
	}
}

// receiveGated reads the gate's verdict (1 open, 0 shut, 2 broken), its reply and the word for receive.
func (s *submission) receiveGated(answer any) {
	parts, _ := answer.([]any)
	if len(parts) != 3 {
		s.receipt.Err = fmt.Errorf("%w: %v", errReply, answer)
		return
	}
	switch parts[0] {
	case int64(1):
		s.receipt.Reply = parts[1]
		s.receive(parts[2])
	case int64(0):
		s.receipt.Outcome, s.receipt.Reply = Refused, parts[1]
	default:
		s.receipt.Err = fmt.Errorf("the gate of task %s broke: %v", s.msg.ID, parts[1])
	}
}

// luaPut defines put, which stores the task with the key if neither its id nor its uniqueness is taken.
const luaPut = `
local function put(key, unique, scheduled, id, msg, at, ttl, now)
	if unique then
		local owner = redis.call('GET', unique)
		if owner then return owner end
	end
	if redis.call('EXISTS', key) == 1 then return 0 end
	if at == '0' then
		redis.call('HSET', key, 'msg', msg, 'state', 'pending', 'pending_since', now)
	else
		redis.call('HSET', key, 'msg', msg, 'state', 'scheduled')
		redis.call('ZADD', scheduled, at, id)
	end
	if unique then
		redis.call('SET', unique, id, 'EX', ttl)
		redis.call('HSET', key, 'unique_key', unique)
	end
	return 1
end
`

// luaRing wakes one worker. An element that nobody waits for is enough for whoever comes next.
const luaRing = `
local function ring(wake)
	if redis.call('LLEN', wake) == 0 then
		redis.call('RPUSH', wake, 1)
		redis.call('PEXPIRE', wake, 2000)
	end
end
`

// luaList puts the queue into asynq's list of queues. asynq's client does it once in its life only: after the loss of
// Redis' data its tasks would run but be found by nobody.
const luaList = `
if ARGV[3] ~= '' then redis.call('SADD', KEYS[4], ARGV[3]) end
`

// enqueueScript KEYS: pending, scheduled, wake, list of queues; then each task's key and, if it is unique, that key.
// ARGV: now (ns), 1 to ring, the queue or nothing to leave the list, number of tasks; then for each: id, message,
// due (s, 0 is now), seconds of uniqueness (0 is none).
var enqueueScript = redis.NewScript(luaPut + luaRing + luaList + `
local out, made, k = {}, {}, 5
for i = 1, tonumber(ARGV[4]) do
	local a = 4 * i + 1
	local key, unique = KEYS[k], nil
	k = k + 1
	if ARGV[a + 3] ~= '0' then
		unique = KEYS[k]
		k = k + 1
	end
	local r = put(key, unique, KEYS[2], ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[1])
	out[i] = r
	if r == 1 and ARGV[a + 2] == '0' then made[#made + 1] = ARGV[a] end
end
if #made > 0 then
	redis.call('LPUSH', KEYS[1], unpack(made))
	if ARGV[2] == '1' then ring(KEYS[3]) end
end
return out
`)

// gatedScript is as enqueueScript for tasks with one gate. After the list of queues come the gate's KEYS; after the
// number of tasks in ARGV the numbers of the gate's KEYS and ARGV, and after each task's uniqueness the gate's ARGV for
// it. A gate that breaks does so for its own task alone.
const gatedScript = luaPut + luaRing + `
local keys, nargs = {}, tonumber(ARGV[6])
for i = 1, tonumber(ARGV[5]) do keys[i] = KEYS[4 + i] end
local gate
do
	local KEYS = keys
	%s
	gate = function(ARGV)
		%s
	end
end
local out, made, k, a = {}, {}, 5 + #keys, 7
for i = 1, tonumber(ARGV[4]) do
	local key, unique = KEYS[k], nil
	k = k + 1
	if ARGV[a + 3] ~= '0' then
		unique = KEYS[k]
		k = k + 1
	end
	local args = {}
	for n = 1, nargs do args[n] = ARGV[a + 3 + n] end
	local sound, open, reply = pcall(gate, args)
	if reply == nil then reply = false end
	if not sound then
		out[i] = {2, type(open) == 'table' and open.err or tostring(open), 0}
	elseif not open then
		out[i] = {0, reply, 0}
	else
		local r = put(key, unique, KEYS[2], ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[1])
		out[i] = {1, reply, r}
		if r == 1 and ARGV[a + 2] == '0' then made[#made + 1] = ARGV[a] end
	end
	a = a + 4 + nargs
end
if #made > 0 then
	if ARGV[3] ~= '' then redis.call('SADD', KEYS[4], ARGV[3]) end
	redis.call('LPUSH', KEYS[1], unpack(made))
	if ARGV[2] == '1' then ring(KEYS[3]) end
end
return out
`

// askScript is a gate alone.
const askScript = `
%s
local function gate(ARGV)
	%s
end
local open, reply = gate(ARGV)
if reply == nil then reply = false end
return {open and 1 or 0, reply}
`

// gates keeps the scripts made of gates.
type gates struct {
	format  string
	scripts sync.Map // gateSource: *redis.Script
}

type gateSource struct{ prelude, source string }

func (g *gates) script(gate *Gate) *redis.Script {
	key := gateSource{gate.Prelude, gate.Source}
	if s, ok := g.scripts.Load(key); ok {
		return s.(*redis.Script)
	}
	s, _ := g.scripts.LoadOrStore(key, redis.NewScript(fmt.Sprintf(g.format, gate.Prelude, gate.Source)))
	return s.(*redis.Script)
}

func (b *Broker) ask(ctx context.Context, gate Gate) (open bool, reply any, err error) {
	answer, err := b.questions.script(&gate).Run(ctx, b.rdb, gate.Keys, gate.Args...).Slice()
	if err != nil {
		return false, nil, err
	}
	if len(answer) == 0 || len(answer) > 2 {
		return false, nil, fmt.Errorf("%w: %v", errReply, answer)
	}
	if len(answer) == 2 {
		reply = answer[1]
	}
	return answer[0] == int64(1), reply, nil
}
