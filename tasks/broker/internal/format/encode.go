package format

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Message is what asynq's message of a new task says.
type Message struct {
	Task      string
	Payload   []byte
	ID, Queue string
	MaxRetry  int           // asynq's limit
	Timeout   time.Duration // whole seconds, at least one
	UniqueKey string        // key of its uniqueness, or ""
	Retention time.Duration // whole seconds
	Headers   []Header
}

// Header is a pair that travels with a task.
type Header struct{ Key, Value string }

// The field numbers of asynq v0.26's TaskMessage, a protocol buffer that is private to asynq. A test reads what encode
// writes with asynq.
const (
	FieldType      = 1
	FieldPayload   = 2
	FieldID        = 3
	FieldQueue     = 4
	FieldRetry     = 5
	FieldTimeout   = 8
	FieldUniqueKey = 10
	FieldRetention = 12
	FieldHeaders   = 15
)

// Encode is the message as asynq stores it.
func Encode(m *Message) []byte {
	b := appendString(make([]byte, 0, m.size()), FieldType, m.Task)
	if len(m.Payload) > 0 {
		b = protowire.AppendBytes(protowire.AppendTag(b, FieldPayload, protowire.BytesType), m.Payload)
	}
	b = appendString(b, FieldID, m.ID)
	b = appendString(b, FieldQueue, m.Queue)
	b = appendInt(b, FieldRetry, int64(m.MaxRetry))
	b = appendInt(b, FieldTimeout, int64(m.Timeout/time.Second))
	b = appendString(b, FieldUniqueKey, m.UniqueKey)
	b = appendInt(b, FieldRetention, int64(m.Retention/time.Second))
	for _, h := range m.Headers {
		b = AppendHeader(b, h)
	}
	return b
}

// AppendHeader appends a header to an encoded message.
func AppendHeader(b []byte, h Header) []byte {
	b = protowire.AppendTag(b, FieldHeaders, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(pairSize(h)))
	b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), h.Key)
	return protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), h.Value)
}

// size is a little more than the length of what Encode returns.
func (m *Message) size() int {
	n := 64 + len(m.Task) + len(m.Payload) + len(m.ID) + len(m.Queue) + len(m.UniqueKey)
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
