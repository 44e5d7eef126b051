package tasks

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxErrorText bounds an attempt's error in the task's list of attempts, in bytes.
	maxErrorText = 1 << 10
	// maxStoredError bounds a task's error, in bytes.
	maxStoredError = 16 << 10
)

// record gives what came of the attempt to the acknowledgement, for the task's list of attempts. It is false when the
// attempt does not count.
func (a *attempt) record(v verdict) bool {
	if a.delivery == nil {
		return true
	}
	if v.outcome == revoked && a.begun.IsZero() ||
		a.headers.noResult && (v.outcome == succeeded || v.outcome == revoked) { // nothing is left of the task
		return a.delivery.Record(nil)
	}
	return a.delivery.Record(a.appendRecord(make([]byte, 0, 192), v, time.Now()))
}

// appendRecord appends the attempt as JSON: by hand, as every attempt pays for it.
func (a *attempt) appendRecord(b []byte, v verdict, now time.Time) []byte {
	b = append(b, `{"number":`...)
	b = strconv.AppendInt(b, int64(a.Attempt), 10)
	b = append(b, `,"worker":`...)
	b = appendQuoted(b, a.delivery.Worker())
	b = append(b, `,"started_at":"`...)
	b = appendMillis(b, a.delivery.Began())
	b = append(b, `","ended_at":"`...)
	b = appendMillis(b, now)
	b = append(b, `","outcome":"`...)
	b = append(b, v.outcome...)
	b = append(b, `","error":`...)
	return append(appendQuoted(b, v.briefText()), '}')
}

// text is the attempt's error as it is stored: why it failed, was interrupted or revoked.
func (v *verdict) text() string {
	switch v.outcome {
	case succeeded:
		return ""
	case snoozed:
		return snoozeText(v.err)
	case revoked:
		return v.reason
	}
	return storable(v.err)
}

// storable is an error's text as a task can keep it: asynq cannot store what is not UTF-8.
func storable(err error) string {
	return escaped(strings.ToValidUTF8(shorten(err.Error(), maxStoredError), "\uFFFD"))
}

// shorten cuts a text to at most limit bytes, between characters.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const dots = "…"
	cut := limit - len(dots)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + dots
}

// remembers tells whether the history takes this task.
func (a *attempt) remembers() bool {
	return a.mux.history != nil && a.headers.history != HistoryOff
}

// rememberStart tells the history that the attempt has begun; only that of a long one, since the end comes soon otherwise.
func (a *attempt) rememberStart() { a.mux.history.Record(a.historic(StateStarted, a.Attempt-1)) }

// remember tells the history what came of the attempt.
func (a *attempt) remember(v verdict) {
	if !a.remembers() {
		return
	}
	var r Record
	switch v.outcome {
	case retrying:
		r = a.historic(StateRetry, a.Attempt)
	case snoozed:
		r = a.historic(StateRetry, a.Attempt-1)
	case succeeded:
		r = a.historic(StateSuccess, a.Attempt-1)
	case failed:
		r = a.historic(StateFailure, a.Attempt-1)
	case revoked:
		r = a.historic(StateRevoked, a.Attempt-1)
	default:
		return
	}
	if r.State.Final() {
		r.EndedAt = time.Now()
	}
	r.Error = v.storedText()
	if a.headers.history == HistoryFull {
		r.Result = v.storedResult()
	} else {
		r.Error = a.redacted(v)
	}
	a.mux.history.Record(r)
}

// historic is what the history is told in any case.
func (a *attempt) historic(state State, retries int) Record {
	r := Record{
		ID:         a.ID,
		Task:       a.Name,
		Queue:      a.Queue,
		State:      state,
		Run:        a.headers.run,
		Attempt:    a.Attempt,
		Retries:    retries,
		MaxRetries: a.MaxRetries,
		Tags:       a.Tags,
		RequestID:  a.RequestID,
		EnqueuedAt: a.headers.enqueued,
		StartedAt:  a.begun,
	}
	if a.delivery != nil {
		r.Worker = a.delivery.Worker()
	}
	if a.headers.history == HistoryFull {
		r.Args = a.storedArgs()
	}
	return r
}
