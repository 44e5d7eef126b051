package broker

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of asynq's TaskMessage that change while a task lives. encode writes none of them.
const (
	fieldRetried     = 6
	fieldError       = 7
	fieldFailedAt    = 11
	fieldCompletedAt = 13
)

// decode reads a message as asynq stores it into the record. The last of several values of a field counts. What comes
// after a place that makes no sense, as another program may have put it there, is left out.
func (r *StoredTask) decode(message []byte) {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return
		}
		message = message[n:]
		switch kind {
		case protowire.BytesType:
			value, n := protowire.ConsumeBytes(message)
			if n < 0 {
				return
			}
			message = message[n:]
			r.setBytes(field, value)
		case protowire.VarintType:
			value, n := protowire.ConsumeVarint(message)
			if n < 0 {
				return
			}
			message = message[n:]
			r.setInt(field, int64(value))
		default:
			n := protowire.ConsumeFieldValue(field, kind, message)
			if n < 0 {
				return
			}
			message = message[n:]
		}
	}
}

func (r *StoredTask) setBytes(field protowire.Number, value []byte) {
	switch field {
	case fieldType:
		r.Task = string(value)
	case fieldPayload:
		r.Payload = value
	case fieldError:
		r.LastError = string(value)
	case fieldHeaders:
		if r.Headers == nil {
			r.Headers = make(map[string]string, 4)
		}
		key, text := decodePair(value)
		r.Headers[key] = text
	}
}

func (r *StoredTask) setInt(field protowire.Number, value int64) {
	switch field {
	case fieldRetry:
		r.MaxRetry = int(int32(value))
	case fieldRetried:
		r.Retried = int(int32(value))
	case fieldTimeout:
		r.Timeout = time.Duration(value) * time.Second
	case fieldRetention:
		r.Retention = time.Duration(value) * time.Second
	case fieldFailedAt:
		r.LastFailedAt = unixSecond(value)
	case fieldCompletedAt:
		r.CompletedAt = unixSecond(value)
	}
}

// decodePair reads one entry of a map of strings.
func decodePair(pair []byte) (key, value string) {
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

// unixSecond is the zero time for 0.
func unixSecond(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0)
}
