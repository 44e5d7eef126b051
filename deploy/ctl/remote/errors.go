package remote

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/paidui/paidui/deploy/ctl/show"
)

// Exit codes of the operator's commands.
const (
	ExitDone        = 0
	ExitFailed      = 1   // refused, or failed: whatever has no code of its own
	ExitUsage       = 2   // a wrong argument, whether the command or the API says so
	ExitNotFound    = 3   // no such task, queue, worker, schedule
	ExitUnreachable = 4   // the API does not answer, or says that it can't now
	ExitNoAccess    = 5   // no key, a wrong one, or one that may not
	ExitRevoked     = 6   // a task that was watched has ended as REVOKED
	ExitUnknown     = 7   // of a task that was watched the end is not known
	ExitInterrupted = 130 // Ctrl-C before the end
)

// UsageError says what is wrong with a command line, or the environment of one.
type UsageError struct{ err error }

// UsageErrorf makes one as fmt.Errorf does.
func UsageErrorf(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

func (e *UsageError) Error() string { return e.err.Error() }
func (e *UsageError) Unwrap() error { return e.err }

// ExitStatus is ExitUsage.
func (e *UsageError) ExitStatus() int { return ExitUsage }

// UnreachableError says that the API did not answer.
type UnreachableError struct {
	URL string
	err error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the API at %s does not answer: %v; is it running there? %s says where to ask", e.URL, e.err, URLVariable)
}

func (e *UnreachableError) Unwrap() error { return e.err }

// ExitStatus is ExitUnreachable.
func (e *UnreachableError) ExitStatus() int { return ExitUnreachable }

// APIError is the API's answer that something is wrong.
type APIError struct {
	Status     int    // of HTTP
	Msg        string // the API's own words
	Field      string // the argument at fault; "" for none
	RetryAfter time.Duration
	RequestID  string

	access Access
}

// Error is what the API says, and what to do about it.
func (e *APIError) Error() string {
	var b strings.Builder
	if e.Field != "" && !strings.HasPrefix(e.Msg, e.Field) {
		b.WriteString(show.Line(e.Field) + ": ")
	}
	b.WriteString(show.Line(cmp.Or(e.Msg, http.StatusText(e.Status))))
	switch {
	case e.Status == http.StatusUnauthorized && e.access.Key == "":
		fmt.Fprintf(&b, "; no key is set: put an operator's into %s, or its file's name into %s", KeyVariable, KeyFileVariable)
	case e.Status == http.StatusUnauthorized:
		fmt.Fprintf(&b, "; the key of %s is not one of %s", e.access.Source, e.access.URL)
	case e.Status == http.StatusNotFound && e.Msg == "":
		fmt.Fprintf(&b, "; is %s a Paidui API, of this version?", e.access.URL)
	case e.RetryAfter > 0:
		fmt.Fprintf(&b, "; try again in %s", e.RetryAfter)
	case e.Status >= http.StatusInternalServerError && e.Status != http.StatusServiceUnavailable && e.RequestID != "":
		fmt.Fprintf(&b, "; the API's log has more of it under the request id %s", show.Line(e.RequestID))
	}
	fmt.Fprintf(&b, " (%d)", e.Status)
	return b.String()
}

// ExitStatus goes by the status.
func (e *APIError) ExitStatus() int {
	switch e.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return ExitUsage
	case http.StatusNotFound:
		return ExitNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return ExitNoAccess
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return ExitUnreachable
	default:
		return ExitFailed
	}
}

// Temporary tells whether the same request may succeed later.
func Temporary(err error) bool {
	var unreachable *UnreachableError
	var answer *APIError
	return errors.As(err, &unreachable) || errors.As(err, &answer) && answer.ExitStatus() == ExitUnreachable
}

// IsStatus tells whether err is the API's answer with this status.
func IsStatus(err error, status int) bool {
	var answer *APIError
	return errors.As(err, &answer) && answer.Status == status
}
