package sms

import (
	"context"
	"time"
)

// Sender hands one message to a provider. It may be called concurrently.
type Sender interface {
	// Send returns once the provider has accepted the message. An error that no retry can mend comes wrapped by
	// tasks.Permanent. An error with a method Refusal() string has there what the person is told, "" being nothing but
	// that it failed; of any other error he is told no more. No error and no log line has the code in it.
	Send(ctx context.Context, m Message) (Receipt, error)
	// Provider is the name under which sms_messages records the message, at most 16 bytes.
	Provider() string
}

// Message is what one task sends. The same TaskID always stands for the same message.
type Message struct {
	TaskID   string
	Mobile   string        // valid by ValidMobile
	Code     string        // six digits
	ValidFor time.Duration // how long the code is still good for
}

// minutes is ValidFor as people are told it: in minutes, rounded, at least one.
func (m Message) minutes() int {
	return max(1, int(m.ValidFor.Round(time.Minute)/time.Minute))
}

// Receipt is what the provider answered. SerialNo is its name of the message, never empty and at most 64 bytes; Fee
// is the number of messages charged.
type Receipt struct {
	SerialNo string
	Fee      int64
}
