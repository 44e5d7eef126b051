package format

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of asynq's TaskMessage that change while a task lives. Encode writes none of them.
const (
	FieldRetried     = 6
	FieldError       = 7
	FieldFailedAt    = 11
	FieldCompletedAt = 13
)

// Stored is what asynq's message of a task says.
type Stored struct {
	Task              string
	Payload           []byte
	Headers           map[string]string
	MaxRetry, Retried int
	LastError         string
	LastFailedAt      time.Time // whole seconds
	CompletedAt       time.Time // whole seconds
	Retention         time.Duration
	Timeout           time.Duration
}

// Decode reads a message as asynq stores it. The last of several values of a field counts. What comes
// after a place that makes no sense, as another program may have put it there, is left out.
func Decode(message []byte) (r Stored) {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return r
		}
		message = message[n:]
		switch kind {
		case protowire.BytesType:
			value, n := protowire.ConsumeBytes(message)
			if n < 0 {
				return r
			}
			message = message[n:]
			r.setBytes(field, value)
		case protowire.VarintType:
			value, n := protowire.ConsumeVarint(message)
			if n < 0 {
				return r
			}
			message = message[n:]
			r.setInt(field, int64(value))
		default:
			n := protowire.ConsumeFieldValue(field, kind, message)
			if n < 0 {
				return r
			}
			message = message[n:]
		}
	}
	return r
}

func (r *Stored) setBytes(field protowire.Number, value []byte) {
	switch field {
	case FieldType:
		r.Task = string(value)
	case FieldPayload:
		r.Payload = value
	case FieldError:
		r.LastError = string(value)
	case FieldHeaders:
		if r.Headers == nil {
			r.Headers = make(map[string]string, 4)
		}
		key, text := DecodePair(value)
		r.Headers[key] = text
	}
}

func (r *Stored) setInt(field protowire.Number, value int64) {
	switch field {
	case FieldRetry:
		r.MaxRetry = int(int32(value))
	case FieldRetried:
		r.Retried = int(int32(value))
	case FieldTimeout:
		r.Timeout = time.Duration(value) * time.Second
	case FieldRetention:
		r.Retention = time.Duration(value) * time.Second
	case FieldFailedAt:
		r.LastFailedAt = UnixSecond(value)
	case FieldCompletedAt:
		r.CompletedAt = UnixSecond(value)
	}
}

// DecodePair reads one entry of a map of strings.
func DecodePair(pair []byte) (key, value string) {
	for len(pair) > 0 {
		field, kind, n := protowire.ConsumeTag(pair)
		if n < 0 || kind != protowire.BytesType {
			return key, value
		}
		text, m := protowire.ConsumeBytes(pair[n:])
		if m < 0 {
			return key, value
		}
		switch field {
		case 1:
			key = string(text)
		case 2:
			value = string(text)
		}
		pair = pair[n+m:]
	}
	return key, value
}

// UnixSecond is the zero time for 0.
func UnixSecond(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0)
}
