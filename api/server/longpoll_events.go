package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

const (
	// maxStream is how long one stream of events lasts at most. The client then asks for another.
	maxStream = time.Hour
	// heartbeatSpan is the longest silence of a stream. A heartbeat keeps proxies from closing it, and finds clients that are
	// gone.
	heartbeatSpan = 15 * time.Second
	// When a stream ends before its task, its client reconnects after a random time between these.
	minReconnect, maxReconnect = time.Second, 3 * time.Second

	lastEventID = "Last-Event-ID"
	endSuffix   = ".end" // of the id of a task's last event
)

// taskEvents streams where a task stands, as server-sent events, until it has ended.
func (s *Server) taskEvents(c echo.Context) error {
	id, err := pathTaskID(c)
	if err != nil {
		return err
	}
	requestOf(c).waits = true
	ctx := c.Request().Context()
	w, info, err := s.Tasks.Follow(ctx, id)
	if errors.Is(err, tasks.ErrNotFound) {
		return s.pastEvents(c, id, err)
	}
	if err != nil {
		return err
	}
	if info.State.Final() {
		w.Close()
		return s.endedEvents(c, info)
	}
	if c.Request().Method == http.MethodHead {
		w.Close()
		openStream(c)
		return c.NoContent(http.StatusOK)
	}
	leave, err := s.waits.begin(c)
	if err != nil {
		w.Close()
		return err
	}
	stream := openStream(c)
	if err := stream.state(s.publicInfo(c, info)); err != nil {
		leave()
		w.Close()
		return err
	}
	requestOf(c).admission.leave() // a waiting request takes no turn
	return s.longpoll(c, func(c echo.Context) error {
		defer w.Close()
		defer leave()
		return s.stream(c, w, stream)
	})
}

// pastEvents is the stream of a task that only the history knows. unknown is the error when it does not, or when the task
// may go on.
func (s *Server) pastEvents(c echo.Context, id string, unknown error) error {
	info, err := s.past(c.Request().Context(), id)
	if err != nil {
		return err
	}
	if !info.State.Final() {
		return unknown
	}
	return s.endedEvents(c, info)
}

// endedEvents is the whole stream of a task that has ended.
func (s *Server) endedEvents(c echo.Context, info *tasks.Info) error {
	if strings.HasSuffix(c.Request().Header.Get(lastEventID), endSuffix) {
		return c.NoContent(http.StatusNoContent) // on which an EventSource does not reconnect
	}
	stream := openStream(c)
	if err := stream.state(s.publicInfo(c, info)); err != nil {
		return err
	}
	stream.end(&info.State)
	return stream.flush(c)
}

// stream sends each change until the task has ended. It returns no error when the client is gone.
func (s *Server) stream(c echo.Context, w *tasks.Watcher, stream *eventStream) error {
	for stream.flush(c) == nil {
		info, err := s.nextInfo(c, w, stream)
		switch {
		case errors.Is(err, tasks.ErrNotFound):
			stream.end(nil)
		case err != nil:
			return nil //nolint:nilerr // the client reconnects, if it is there
		default:
			if err := stream.state(s.publicInfo(c, info)); err != nil {
				return err
			}
			if info.State.Final() {
				stream.end(&info.State)
			}
		}
		if stream.ended {
			_ = stream.flush(c)
			return nil
		}
	}
	return nil
}

// nextInfo waits for the next change and keeps the stream alive meanwhile.
func (s *Server) nextInfo(c echo.Context, w *tasks.Watcher, stream *eventStream) (*tasks.Info, error) {
	ctx := c.Request().Context()
	draining := s.draining(ctx)
	heartbeat := s.heartbeats.any()
	for {
		select {
		case <-w.Changed():
			return w.Info()
		case <-heartbeat.after():
			if gone(c) || time.Since(requestOf(c).begun) > maxStream {
				return nil, context.Canceled
			}
			stream.beat()
			if err := stream.flush(c); err != nil {
				return nil, err
			}
		case <-draining:
			return nil, http.ErrServerClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// eventStream makes an answer in the form text/event-stream.
type eventStream struct {
	last  int64 // id
	ended bool
	out   []byte // not flushed yet
}

var (
	contentEvents = []string{"text/event-stream"}
	unbuffered    = []string{"no"}
)

func openStream(c echo.Context) *eventStream {
	h := c.Response().Header()
	h["Content-Type"] = contentEvents
	h["Cache-Control"] = noStore
	h["X-Accel-Buffering"] = unbuffered // nginx would otherwise collect events
	reconnect := minReconnect + rand.N(maxReconnect-minReconnect)
	return &eventStream{out: fmt.Appendf(nil, "retry: %d\n", reconnect.Milliseconds())}
}

// state adds where the task stands.
func (s *eventStream) state(info *tasks.Info) error {
	data, err := json.Marshal(info)
	if err == nil {
		s.add("state", "", data)
	}
	return err
}

// end adds that no more events come. A task of which nothing is kept has no state.
func (s *eventStream) end(state *tasks.State) {
	data := []byte(`{"state":null}`)
	if state != nil {
		data = []byte(`{"state":"` + string(*state) + `"}`)
	}
	s.add("end", endSuffix, data)
	s.ended = true
}

// beat adds a comment as a heartbeat.
func (s *eventStream) beat() { s.out = append(s.out, ":\n\n"...) }

// add makes an event; data holds no line break. Its id is the time in milliseconds, or a little more, so that ids of a
// task's streams grow whichever process sends them.
func (s *eventStream) add(event, suffix string, data []byte) {
	s.last = max(s.last+1, time.Now().UnixMilli())
	s.out = fmt.Appendf(s.out, "event: %s\nid: %d%s\ndata: %s\n\n", event, s.last, suffix, data)
}

// flush sends the events that were added.
func (s *eventStream) flush(c echo.Context) error {
	_, err := c.Response().Write(s.out)
	s.out = nil // frees it: a stream is silent most of the time
	if err != nil {
		return err
	}
	return http.NewResponseController(c.Response()).Flush()
}
