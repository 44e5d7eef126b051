package broker

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Message is a task on its way into a queue. Its fields are not checked here; all text must be UTF-8, or no worker can
// read the task.
type Message struct {
	Queue, ID, Task string
	Chosen          bool // whether the ID was not made for this task: then no queue may have it already
	Payload         []byte
	Headers         []Header
	MaxRetry        int           // asynq's limit
	Timeout         time.Duration // whole seconds, at least one
	Retention       time.Duration // whole seconds
	At              time.Time     // whole seconds; zero is now
	Priority        Priority
	Tags            []string      // each without a space
	UniqueFor       time.Duration // until the task ends, at most so long; whole seconds, 0 is not unique
	Throttle        time.Duration // one task of the key within this time, also after it has ended; 0 is off
	Debounce        time.Duration // whole seconds; the last message of the key within this time is the task, due at its end; 0 is off
	Key             []byte        // what the three go by; nil is the payload, for Debounce the task's name
}

// Priority orders the pending tasks of one queue.
type Priority int8

// The priorities. High ones are begun before normal ones, those before low ones; but one of 16 tasks may be normal, and
// one of 64 low, before higher ones.
const (
	Normal Priority = iota
	High
	Low
)

// String is high, normal or low.
func (p Priority) String() string {
	switch p {
	case High:
		return "high"
	case Low:
		return "low"
	}
	return "normal"
}

// Header is a pair that travels with a task.
type Header struct{ Key, Value string }

// The field numbers of asynq v0.26's TaskMessage, a protocol buffer that is private to asynq. A test reads what encode
// writes with asynq.
const (
	fieldType      = 1
	fieldPayload   = 2
	fieldID        = 3
	fieldQueue     = 4
	fieldRetry     = 5
	fieldTimeout   = 8
	fieldUniqueKey = 10
	fieldRetention = 12
	fieldHeaders   = 15
)

// encode appends the message as asynq stores it. unique is the key of its uniqueness, or "".
func (m *Message) encode(b []byte, unique string) []byte {
	b = appendString(b, fieldType, m.Task)
	if len(m.Payload) > 0 {
		b = protowire.AppendBytes(protowire.AppendTag(b, fieldPayload, protowire.BytesType), m.Payload)
	}
	b = appendString(b, fieldID, m.ID)
	b = appendString(b, fieldQueue, m.Queue)
	b = appendInt(b, fieldRetry, int64(m.MaxRetry))
	b = appendInt(b, fieldTimeout, int64(m.Timeout/time.Second))
	b = appendString(b, fieldUniqueKey, unique)
	b = appendInt(b, fieldRetention, int64(m.Retention/time.Second))
	for _, h := range m.Headers {
		b = appendHeader(b, h)
	}
	return b
}

func appendHeader(b []byte, h Header) []byte {
	b = protowire.AppendTag(b, fieldHeaders, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(pairSize(h)))
	b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), h.Key)
	return protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), h.Value)
}

// encodedSize is a little more than what encode appends.
func (m *Message) encodedSize(unique string) int {
	n := 64 + len(m.Task) + len(m.Payload) + len(m.ID) + len(m.Queue) + len(unique)
	for _, h := range m.Headers {
		n += 4 + pairSize(h)
	}
	return n
}

func pairSize(h Header) int {
	return 2 + protowire.SizeBytes(len(h.Key)) + protowire.SizeBytes(len(h.Value))
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func appendInt(b []byte, field protowire.Number, n int64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
}
