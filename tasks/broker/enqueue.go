package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	// enqueueBatch bounds the tasks of one script, and so how long Redis is kept from others: well under a millisecond.
	enqueueBatch = 128
	// waitSpan is how late, at most, the end of a caller's context is noticed.
	waitSpan = 20 * time.Millisecond
	// manyBatch bounds the tasks of one round trip.
	manyBatch = 8 * enqueueBatch
	// enqueuesInFlight is how many batches are under way at a time: one is made while Redis works on another.
	enqueuesInFlight = 2
)

// Outcome is what became of a message.
type Outcome int

// The outcomes of Enqueue.
const (
	Unknown  Outcome = iota // see Receipt.Err
	Made                    // the task is in its queue
	Taken                   // a task with the id is there already, in this queue or, if the id was chosen, in any
	Held                    // another task holds the uniqueness or the throttle: Receipt.Owner
	Refused                 // the gate said no: Receipt.Reply
	Replaced                // the task that waits for the end of the window, Receipt.Owner, has this payload and headers now
	Full                    // so many tasks are pending as Message.MaxLength allows
)

// Receipt tells what became of a message.
type Receipt struct {
	Outcome Outcome
	Owner   string // the id of the task that was there before
	Other   bool   // another queue has the id that is Taken
	Reply   any    // what the gate replied
	Err     error  // why it is not known whether the message is stored
}

// submission is a message on its way.
type submission struct {
	msg     *Message
	gate    *Gate
	encoded []byte
	unique  string // key, or ""
	at      time.Time
	extra   []byte // for the script, nil for a plain message
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
// their keys may live apart: there the gate comes first, and a death in between leaves only what the gate has done. The gate
// of a queue that is Full is not asked.
func (b *Broker) EnqueueIf(ctx context.Context, gate Gate, m *Message) Receipt {
	if b.cluster {
		if full, err := b.isFull(ctx, m); err != nil || full {
			return Receipt{Outcome: fullUnless(err), Err: err}
		}
		opened, reply, err := gate.Ask(ctx, b.rdb)
		if err != nil || !opened {
			return Receipt{Outcome: refusedUnless(err), Reply: reply, Err: err}
		}
		admitted := *m
		admitted.MaxLength = 0 // what the gate has let in is made
		receipt := b.submit(ctx, nil, &admitted)[0]
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

func fullUnless(err error) Outcome {
	if err != nil {
		return Unknown
	}
	return Full
}

// isFull tells whether the queue takes no more tasks, unless it has this one.
func (b *Broker) isFull(ctx context.Context, m *Message) (bool, error) {
	if m.MaxLength <= 0 {
		return false, nil
	}
	pipe := b.rdb.Pipeline()
	there := pipe.Exists(ctx, format.TaskKey(m.Queue, m.ID))
	var sizes []*redis.IntCmd
	for _, list := range []string{format.PendingKey(m.Queue), format.HighKey(m.Queue), format.LowKey(m.Queue)} {
		sizes = append(sizes, pipe.LLen(ctx, list))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return false, fmt.Errorf("count what waits in queue %s: %w", m.Queue, err)
	}
	pending := int64(0)
	for _, size := range sizes {
		pending += size.Val()
	}
	return there.Val() == 0 && pending >= int64(m.MaxLength), nil
}

// submit looks for chosen ids in all queues: a script does it, but on a Redis Cluster, where queues have slots of their own.
func (b *Broker) submit(ctx context.Context, gate *Gate, messages ...*Message) []Receipt {
	if len(messages) > 0 && b.cluster && slices.ContainsFunc(messages, func(m *Message) bool { return m.Chosen }) {
		return b.submitClaimed(ctx, messages)
	}
	return b.store(ctx, gate, messages...)
}

func (b *Broker) store(ctx context.Context, gate *Gate, messages ...*Message) []Receipt {
	receipts := make([]Receipt, len(messages))
	if len(messages) == 0 {
		return receipts
	}
	ticket := newTicket(len(messages))
	list := make([]submission, len(messages))
	batch := make([]*submission, len(messages))
	for i, m := range messages {
		s := &list[i]
		*s = submission{msg: m, at: m.due(), extra: m.extra(!b.cluster), gate: gate, receipt: &receipts[i], ticket: ticket}
		if m.UniqueFor > 0 {
			s.unique = format.UniqueKey(m.Queue, m.Task, m.key())
		}
		s.encoded = m.stored(s.unique)
		batch[i] = s
	}
	if len(batch) == 1 {
		b.enqueues.Add(batch...)
	} else { // they keep their order
		go func() {
			for some := range slices.Chunk(batch, manyBatch) {
				b.flushEnqueues(some)
			}
		}()
	}
	if err := ticket.wait(ctx, b.soon.After(waitSpan)); err != nil {
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
	return s.msg.Retention < traceTime && time.Until(s.at) < traceTime
}

// joins tells whether the submission can go by the same script call as the other.
func (s *submission) joins(other *submission) bool {
	switch {
	case s.msg.Queue != other.msg.Queue || s.msg.MaxLength != other.msg.MaxLength || (s.gate == nil) != (other.gate == nil):
		return false
	case s.gate == nil:
		return true
	}
	return s.gate.Script == other.gate.Script && len(s.gate.Args) == len(other.gate.Args) &&
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
	calls := make([]*redisx.Call, len(of))
	now := time.Now()
	for i, group := range of {
		calls[i] = b.enqueueCall(group, now)
		calls[i].Once = once
	}
	if b.cluster { // asynq's list of queues has another slot than the scripts
		redisx.RunScripts(ctx, b.rdb, calls, func(p redis.Pipeliner) {
			for _, group := range of {
				p.SAdd(ctx, format.AllQueuesKey, group[0].msg.Queue)
			}
		})
	} else {
		redisx.RunScripts(ctx, b.rdb, calls)
	}
	for i, group := range of {
		receive(calls[i].Cmd, group)
	}
}

// enqueueCall is the script call for messages that join.
func (b *Broker) enqueueCall(group []*submission, now time.Time) *redisx.Call {
	first := group[0]
	queue := first.msg.Queue
	c := &redisx.Call{
		Script: enqueueScript,
		Keys:   make([]string, 0, 6+2*len(group)),
		Args:   make([]any, 0, 6+5*len(group)),
	}
	queues, listed := format.AllQueuesKey, queue
	if b.cluster {
		queues, listed = format.PendingKey(queue), ""
	}
	c.Keys = append(c.Keys, format.PendingKey(queue), format.ScheduledKey(queue), format.WakeKey(queue), queues, format.HighKey(queue), format.LowKey(queue))
	c.Args = append(c.Args, now.UnixNano(), b.WakeUps(), listed, len(group), max(first.msg.MaxLength, 0), format.RatePrefix(queue))
	if gate := first.gate; gate != nil {
		c.Script = gate.Script.enqueue
		c.Keys = append(c.Keys, gate.Keys...)
		c.Args = append(c.Args, len(gate.Keys), len(gate.Args))
	}
	for _, s := range group {
		at, unique := int64(0), int64(0)
		if !s.at.IsZero() {
			at = s.at.Unix()
		}
		c.Keys = append(c.Keys, format.TaskKey(queue, s.msg.ID))
		if s.unique != "" {
			unique = int64((s.msg.UniqueFor + max(s.at.Sub(now), 0)) / time.Second)
			c.Keys = append(c.Keys, s.unique)
		}
		c.Args = append(c.Args, s.msg.ID, s.encoded, at, unique, s.extra)
		if s.gate != nil {
			c.Args = append(c.Args, s.gate.Args...)
		}
	}
	return c
}

// WakeUps is how many workers one batch wakes: one, which wakes the next if there is more than it can take.
func (b *Broker) WakeUps() int {
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

// receive reads 1 (made), 0 (the id is taken), -1 (another queue has it), -2 (the queue is full), the id that holds the
// uniqueness, or '=' and the id that has the message now.
func (s *submission) receive(word any) {
	switch word := word.(type) {
	case int64:
		s.receipt.Outcome, s.receipt.Other = Taken, word < 0
		switch word {
		case 1:
			s.receipt.Outcome = Made
		case -2:
			s.receipt.Outcome, s.receipt.Other = Full, false
		}
	case string:
		s.receipt.Outcome = Held
		if id, replaced := strings.CutPrefix(word, "="); replaced {
			s.receipt.Outcome, word = Replaced, id
		}
		s.receipt.Owner = word
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
