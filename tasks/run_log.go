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

// attachLog gives the attempt's log to the acknowledgement, which adds it to the task's list of attempts. It reports false
// when another worker has the task, so that this attempt does not count.
func (a *attempt) attachLog(v verdict) bool {
	if a.delivery == nil {
		return true
	}
	if v.outcome == revoked && a.startedAt.IsZero() ||
		a.headers.noResult && (v.outcome == succeeded || v.outcome == revoked) { // nothing is left of the task
		return a.delivery.Record(nil)
	}
	return a.delivery.Record(a.appendLog(make([]byte, 0, 192), v, time.Now()))
}

// appendLog appends the attempt's log as JSON. It is written by hand, because every attempt pays for it.
func (a *attempt) appendLog(b []byte, v verdict, now time.Time) []byte {
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

// plainText is the attempt's error before encryption: why it failed, was interrupted or revoked.
func (v *verdict) plainText() string {
	switch v.outcome {
	case succeeded:
		return ""
	case snoozed:
		return snoozeText(v.err)
	case revoked:
		return v.reason
	}
	return storableText(v.err)
}

// storableText is an error's text in valid UTF-8, since asynq stores nothing else, of maxStoredError bytes at most.
func storableText(err error) string {
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

// keepsHistory reports whether the history keeps this task.
func (a *attempt) keepsHistory() bool {
	return a.mux.history != nil && a.headers.history != HistoryOff
}

// writeHistoryStart tells the history that the attempt has begun. It is called for long attempts only: of others the end
// follows at once.
func (a *attempt) writeHistoryStart() {
	a.mux.history.Record(a.historyRecord(StateStarted, a.Attempt-1))
}

// writeHistory tells the history how the attempt ended.
func (a *attempt) writeHistory(v verdict) {
	if !a.keepsHistory() {
		return
	}
	var r Record
	switch v.outcome {
	case retrying:
		r = a.historyRecord(StateRetry, a.Attempt)
	case snoozed:
		r = a.historyRecord(StateRetry, a.Attempt-1)
	case succeeded:
		r = a.historyRecord(StateSuccess, a.Attempt-1)
	case failed:
		r = a.historyRecord(StateFailure, a.Attempt-1)
	case revoked:
		r = a.historyRecord(StateRevoked, a.Attempt-1)
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

// historyRecord is the record of the attempt, without its end.
func (a *attempt) historyRecord(state State, retries int) Record {
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
		Version:    a.mux.version,
		EnqueuedAt: a.headers.enqueued,
		StartedAt:  a.startedAt,
	}
	if a.delivery != nil {
		r.Worker = a.delivery.Worker()
	}
	if a.headers.history == HistoryFull {
		r.Args = a.storedArgs()
	}
	return r
}
