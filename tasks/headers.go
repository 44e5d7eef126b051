package tasks

import (
	"strconv"
	"strings"
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// The headers that travel with a task beside asynq's own message. Times are Unix milliseconds, durations milliseconds;
// what equals the standard is left out.
const (
	headerEnqueued  = "enq"
	headerETA       = "eta"
	headerExpires   = "exp"
	headerTimeout   = "tmo"
	headerBackoff   = "bo"
	headerNoResult  = "nores" // retention is 0: nobody can read a result
	headerRequestID = "rid"
)

type headers struct {
	enqueued, eta, expires time.Time // zero when absent
	timeout                time.Duration
	backoff                backoff
	noResult               bool
	requestID              string
}

func (h headers) encode() []broker.Header {
	list := make([]broker.Header, 1, 4)
	list[0] = broker.Header{Key: headerEnqueued, Value: millis(h.enqueued)}
	add := func(key, value string) { list = append(list, broker.Header{Key: key, Value: value}) }
	if !h.eta.IsZero() {
		add(headerETA, millis(h.eta))
	}
	if !h.expires.IsZero() {
		add(headerExpires, millis(h.expires))
	}
	if h.timeout != defaultTimeout {
		add(headerTimeout, strconv.FormatInt(h.timeout.Milliseconds(), 10))
	}
	if h.backoff != standardBackoff {
		add(headerBackoff, h.backoff.String())
	}
	if h.noResult {
		add(headerNoResult, "1")
	}
	if h.requestID != "" {
		add(headerRequestID, strings.ToValidUTF8(h.requestID, "\uFFFD"))
	}
	return list
}

// parseHeaders reads what encode wrote. A value that is missing or unreadable, as in a task that another program put
// into the queue, is the standard one.
func parseHeaders(m map[string]string) headers {
	h := headers{
		enqueued:  parseMillis(m[headerEnqueued]),
		eta:       parseMillis(m[headerETA]),
		expires:   parseMillis(m[headerExpires]),
		timeout:   defaultTimeout,
		backoff:   standardBackoff,
		noResult:  m[headerNoResult] == "1",
		requestID: m[headerRequestID],
	}
	if ms, err := strconv.ParseInt(m[headerTimeout], 10, 64); err == nil && ms > 0 {
		h.timeout = time.Duration(ms) * time.Millisecond
	}
	if text, ok := m[headerBackoff]; ok {
		if b, err := parseBackoff(text); err == nil {
			h.backoff = b
		}
	}
	return h
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func parseMillis(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
