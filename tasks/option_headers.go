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
	headerHard      = "hard"
	headerCrashes   = "crash"
	headerLimit     = "lim" // of the result
	headerHistory   = "hist"
	headerTags      = "tags" // with a space between them
	headerOnSuccess = "ok"   // JSON
	headerOnFailure = "fail" // JSON
	headerParent    = "par"  // JSON
	headerRun       = "run"  // from the second on
	headerEncrypted = "enc"  // the arguments are: see seal
	headerOutbox    = "ob"   // an outbox keeps the task until it has ended
	headerUser      = "h:"   // goes before the key of a header of the caller's
)

type headers struct {
	enqueued, eta, expires time.Time // zero when absent
	timeout, hardTimeout   time.Duration
	backoff                backoff
	maxCrashes             int
	resultLimit            int
	history                HistoryMode
	noResult, outbox       bool
	encrypted              bool
	requestID              string
	tags                   []string
	user                   []broker.Header // in no order when read
	onSuccess, onFailure   string          // see decodeCalls
	parent                 string
	run                    int // 1, and 1 more each time the task was run again by hand
}

func (h *headers) encode() []broker.Header {
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
	if h.outbox {
		add(headerOutbox, "1")
	}
	if h.encrypted {
		add(headerEncrypted, "1")
	}
	if h.requestID != "" {
		add(headerRequestID, strings.ToValidUTF8(h.requestID, "\uFFFD"))
	}
	if h.hardTimeout != hardLimit(h.timeout, 0) {
		add(headerHard, strconv.FormatInt(h.hardTimeout.Milliseconds(), 10))
	}
	if h.maxCrashes != defaultMaxCrashes {
		add(headerCrashes, strconv.Itoa(h.maxCrashes))
	}
	if h.resultLimit != defaultResultLimit {
		add(headerLimit, strconv.Itoa(h.resultLimit))
	}
	if h.history != HistoryFull {
		add(headerHistory, h.history.String())
	}
	if len(h.tags) > 0 {
		add(headerTags, strings.Join(h.tags, " "))
	}
	for _, pair := range h.user {
		add(headerUser+pair.Key, pair.Value)
	}
	for _, pair := range []broker.Header{{Key: headerOnSuccess, Value: h.onSuccess}, {Key: headerOnFailure, Value: h.onFailure}, {Key: headerParent, Value: h.parent}} {
		if pair.Value != "" {
			list = append(list, pair)
		}
	}
	return list
}

// parseHeaders reads what encode wrote. A value that is missing or unreadable, as in a task that another program put
// into the queue, is the standard one.
func parseHeaders(m map[string]string) headers {
	h := headers{
		timeout:     defaultTimeout,
		backoff:     standardBackoff,
		maxCrashes:  defaultMaxCrashes,
		resultLimit: defaultResultLimit,
		run:         1,
	}
	for key, value := range m {
		h.parse(key, value)
	}
	if h.hardTimeout <= h.timeout {
		h.hardTimeout = hardLimit(h.timeout, 0)
	}
	return h
}

func (h *headers) parse(key, value string) {
	switch key {
	case headerEnqueued:
		h.enqueued = parseMillis(value)
	case headerETA:
		h.eta = parseMillis(value)
	case headerExpires:
		h.expires = parseMillis(value)
	case headerTimeout:
		if ms, ok := parseCount(value, 1); ok {
			h.timeout = time.Duration(ms) * time.Millisecond
		}
	case headerHard:
		if ms, ok := parseCount(value, 1); ok {
			h.hardTimeout = time.Duration(ms) * time.Millisecond
		}
	case headerBackoff:
		if b, err := parseBackoff(value); err == nil {
			h.backoff = b
		}
	case headerCrashes:
		if n, ok := parseCount(value, 1); ok {
			h.maxCrashes = int(n)
		}
	case headerLimit:
		if n, ok := parseCount(value, 0); ok {
			h.resultLimit = int(n)
		}
	case headerHistory:
		_ = h.history.UnmarshalText([]byte(value)) // an unknown mode is the standard one
	case headerNoResult:
		h.noResult = value == "1"
	case headerOutbox:
		h.outbox = value == "1"
	case headerEncrypted:
		h.encrypted = value == "1"
	case headerRequestID:
		h.requestID = value
	case headerTags:
		h.tags = strings.Fields(value)
	case headerOnSuccess:
		h.onSuccess = value
	case headerOnFailure:
		h.onFailure = value
	case headerParent:
		h.parent = value
	case headerRun:
		if n, err := strconv.Atoi(value); err == nil && n > 1 {
			h.run = n
		}
	default:
		if key, ok := strings.CutPrefix(key, headerUser); ok {
			h.user = append(h.user, broker.Header{Key: key, Value: value})
		}
	}
}

// parseCount reads a number of least or more that is no time beyond reason.
func parseCount(s string, least int64) (n int64, ok bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= least && n <= int64(10*MaxTimeout/time.Millisecond)
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func parseMillis(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
