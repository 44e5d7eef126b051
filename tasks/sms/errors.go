package sms

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// What Codes answers when it refuses.
var (
	ErrInvalidMobile = errors.New("sms: not a mobile number of mainland China")
	ErrWrongCode     = errors.New("sms: wrong code")
	ErrNoCode        = errors.New("sms: no code: it expired, was used or was never sent")
	ErrTooManyTries  = errors.New("sms: too many wrong tries: the code is void")
)

// The limits that a LimitError can speak of.
const (
	ScopeMinute  = "minute"  // the number's, a minute
	ScopeDay     = "day"     // the number's, a calendar day
	ScopeShare   = "share"   // the client address's part of the number's day
	ScopeAddress = "address" // the client address's or its network's, an hour
	ScopeTries   = "tries"   // the client address's or its network's codes tried in vain, an hour
	ScopeAll     = "all"     // that of all numbers and addresses together, a minute
)

// LimitError says that codes were asked for, or tried in vain, too often. RetryAfter is positive and in whole seconds.
type LimitError struct {
	RetryAfter time.Duration
	Scope      string
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("sms: the %s limit is reached, retry after %d s", e.Scope, int64(e.RetryAfter/time.Second))
}

// SendError is why a message was not sent. Its text has the whole number, because it is the answer to whoever asked
// for the message; its form in a log has the number masked.
type SendError struct {
	Mobile string
	Why    string // what the person is told; "" tells Err
	Err    error  // what happened; never nil
}

// sendFailed is what every SendError says between the number and the reason.
const sendFailed = "的短信发送失败："

func (e *SendError) Error() string {
	if e.Why != "" {
		return e.Mobile + sendFailed + e.Why
	}
	return e.Mobile + sendFailed + e.Err.Error()
}

// IsSendError reports whether the text, an error of a Send task, is a SendError's and so meant for whoever asked for
// the message. Anything else, such as a panic or a time limit, is for operators.
func IsSendError(text string) bool {
	mobile, _, found := strings.Cut(text, sendFailed)
	return found && ValidMobile(mobile)
}

func (e *SendError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *SendError) LogValue() slog.Value {
	masked := MaskMobile(e.Mobile)
	return slog.StringValue(masked + sendFailed + strings.ReplaceAll(e.Err.Error(), e.Mobile, masked))
}
