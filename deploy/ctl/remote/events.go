package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	maxEventLine = 16 << 20 // bytes
	eventSilence = 45 * time.Second
)

// errSilent is why a stream ends that has not even sent a comment.
var errSilent = fmt.Errorf("nothing came for %s", eventSilence)

// Event is one of a task's.
type Event struct {
	Name string // state or end
	ID   string
	Data json.RawMessage
}

// Follow calls f with each event of a task until its end, or until f or the API says no. A stream that breaks, or is silent
// for longer than the API ever is, is taken up again where it was, with pauses of up to 10 s in between; lost is called
// then, and Follow gives up when the API was away for patience.
func (c *Client) Follow(ctx context.Context, id string, patience time.Duration, lost func(error), f func(Event) error) error {
	last, pause := "", time.Second
	var since time.Time // when it was lost
	for {
		ended, err := c.stream(ctx, id, &last, func(e Event) error {
			pause, since = time.Second, time.Time{}
			return f(e)
		})
		switch {
		case ended:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !Temporary(err):
			return err
		case err != nil:
			if since.IsZero() {
				since = time.Now()
			}
			if time.Since(since) >= patience {
				return err
			}
			lost(err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(2*pause, 10*time.Second)
	}
}

// stream reads one stream of events. ended: there is no more to come, or f has had enough.
func (c *Client) stream(ctx context.Context, id string, last *string, f func(Event) error) (ended bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(eventSilence, func() { cancel(errSilent) })
	defer silence.Stop()
	r := Request{Method: http.MethodGet, Path: Path("v1", "tasks", id, "events"), lastEvent: *last}
	resp, err := c.send(ctx, r, "text/event-stream")
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNoContent:
		return true, nil
	default:
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		return false, c.apiError(resp, body)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEventLine)
	var e Event
	for lines.Scan() {
		silence.Reset(eventSilence)
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			e.Name = value
		case "id":
			e.ID = value
		case "data":
			e.Data = append(e.Data, value...)
		case "":
			if lines.Text() != "" || e.Name == "" { // a comment, or nothing told
				continue
			}
			*last = e.ID
			if err := f(e); err != nil || e.Name == "end" {
				return true, err
			}
			e = Event{}
		}
	}
	err = lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return false, &UnreachableError{URL: c.access.URL, err: err}
}
