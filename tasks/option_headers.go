package tasks

import (
	"slices"
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
	headerRun       = "run"  // from the second on; Client.Retry writes it
	headerCall      = "call" // with a colon and its name: a call that ran it again together with others; Client.RetryMany writes it
	headerEncrypted = "enc"  // the arguments are: see seal
	headerOutbox    = "ob"   // an outbox keeps the task until it has ended
	headerUser      = "h:"   // goes before the key of a header of the caller's
)

// headers is what travels with a task.
type headers struct {
	runOptions
	enqueued, eta, expires time.Time // zero when absent
	noResult, outbox       bool
	encrypted              bool
	requestID              string
	tags                   []string
	user                   []broker.Header // in no order when read
	onSuccess, onFailure   string          // see decodeCalls
	parent                 string
	run                    int // 1, and 1 more each time the task was run again by hand
}

// storedHeader is how one header is written and read.
type storedHeader struct {
	key    string                         // "": there is none
	absent func(h *headers) bool          // the value is the standard one, and left out
	text   func(h *headers) string        // nil where it's not written by encode
	read   func(h *headers, value string) // leaves the standard for a value that is none
}

// callHeaders are those of the call, where options are not stored as they were given.
var callHeaders = []storedHeader{
	storedTime(headerEnqueued, func(h *headers) *time.Time { return &h.enqueued }),
	storedTime(headerETA, func(h *headers) *time.Time { return &h.eta }),
	storedTime(headerExpires, func(h *headers) *time.Time { return &h.expires }),
	storedFlag(headerOutbox, func(h *headers) *bool { return &h.outbox }),
	storedText(headerRequestID, func(h *headers) *string { return &h.requestID }),
	storedText(headerParent, func(h *headers) *string { return &h.parent }),
	{key: headerRun, read: func(h *headers, value string) {
		if n, err := strconv.Atoi(value); err == nil && n > 1 {
			h.run = n
		}
	}},
}

// storedHeaders are all headers, in the order in which they are written. That of a new option comes last.
var storedHeaders = func() []storedHeader {
	first := []string{headerEnqueued, headerETA, headerExpires, headerTimeout, headerBackoff, headerNoResult, headerOutbox,
		headerEncrypted, headerRequestID, headerHard, headerCrashes, headerLimit, headerHistory, headerTags, headerUser,
		headerOnSuccess, headerOnFailure, headerParent}
	list := slices.Clone(callHeaders)
	for _, row := range optionTable {
		if row.header.key != "" {
			list = append(list, row.header)
		}
	}
	place := func(h storedHeader) int {
		if i := slices.Index(first, h.key); i >= 0 {
			return i
		}
		return len(first)
	}
	slices.SortStableFunc(list, func(a, b storedHeader) int { return place(a) - place(b) })
	return list
}()

var headersByKey = func() map[string]storedHeader {
	byKey := make(map[string]storedHeader, len(storedHeaders))
	for _, h := range storedHeaders {
		byKey[h.key] = h
	}
	return byKey
}()

// encode is the headers as they are stored. The first is that of the time when the task was enqueued.
func (h *headers) encode() []broker.Header {
	list := make([]broker.Header, 0, 4)
	for i := range storedHeaders {
		stored := &storedHeaders[i]
		switch {
		case stored.key == headerUser:
			for _, pair := range h.user {
				list = append(list, broker.Header{Key: headerUser + pair.Key, Value: pair.Value})
			}
		case stored.text != nil && !stored.absent(h):
			list = append(list, broker.Header{Key: stored.key, Value: stored.text(h)})
		}
	}
	return list
}

// parseHeaders reads what encode wrote. A value that is missing or unreadable, as in a task that another program put
// into the queue, is the standard one.
func parseHeaders(m map[string]string) headers {
	h := headers{runOptions: standardRunOptions(), run: 1}
	for key, value := range m {
		if stored, ok := headersByKey[key]; ok && stored.read != nil {
			stored.read(&h, value)
		} else if key, ok := strings.CutPrefix(key, headerUser); ok {
			h.user = append(h.user, broker.Header{Key: key, Value: value})
		}
	}
	if h.hardTimeout <= h.timeout {
		h.hardTimeout = hardLimit(h.timeout, 0)
	}
	return h
}

func storedTime(key string, field func(*headers) *time.Time) storedHeader {
	return storedHeader{
		key:    key,
		absent: func(h *headers) bool { return field(h).IsZero() },
		text:   func(h *headers) string { return millis(*field(h)) },
		read:   func(h *headers, value string) { *field(h) = parseMillis(value) },
	}
}

func storedFlag(key string, field func(*headers) *bool) storedHeader {
	return storedHeader{
		key:    key,
		absent: func(h *headers) bool { return !*field(h) },
		text:   func(*headers) string { return "1" },
		read:   func(h *headers, value string) { *field(h) = value == "1" },
	}
}

func storedText(key string, field func(*headers) *string) storedHeader {
	return storedHeader{
		key:    key,
		absent: func(h *headers) bool { return *field(h) == "" },
		text:   func(h *headers) string { return strings.ToValidUTF8(*field(h), "\uFFFD") },
		read:   func(h *headers, value string) { *field(h) = value },
	}
}

// storedNumber is a header of a number that is least or more.
func storedNumber(key string, standard, least int, field func(*headers) *int) storedHeader {
	return storedHeader{
		key:    key,
		absent: func(h *headers) bool { return *field(h) == standard },
		text:   func(h *headers) string { return strconv.Itoa(*field(h)) },
		read: func(h *headers, value string) {
			if n, ok := parseCount(value, int64(least)); ok {
				*field(h) = int(n)
			}
		},
	}
}

func readDuration(value string, into *time.Duration) {
	if ms, ok := parseCount(value, 1); ok {
		*into = time.Duration(ms) * time.Millisecond
	}
}

// parseCount reads a number of least or more that is no time beyond reason.
func parseCount(s string, least int64) (n int64, ok bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= least && n <= int64(10*MaxTimeout/time.Millisecond)
}

func storedDuration(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func parseMillis(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
