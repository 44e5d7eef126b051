package server

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

const (
	// maxStream is how long one stream of events lasts at most. The client then asks for another.
	maxStream = time.Hour
	// heartbeatSpan is how long a stream is silent at most, so that no proxy takes it for dead and a client that has
	// vanished is found out.
	heartbeatSpan = 15 * time.Second
	// When a stream ends before its task, its client comes back so much later: not all at the same time.
	minComeBack, maxComeBack = time.Second, 3 * time.Second

	lastEventID = "Last-Event-ID"
	endSuffix   = ".end" // of the id of a task's last event
)

// taskEvents streams where a task stands, as server-sent events, until it has ended.
func (s *Server) taskEvents(c echo.Context) error {
	id, err := pathTaskID(c)
	if err != nil {
		return err
	}
	requestOf(c).patient = true
	ctx := c.Request().Context()
	w, info, err := s.Tasks.Follow(ctx, id)
	if err != nil {
		return err
	}
	defer w.Close()
	if info.State.Final() && strings.HasSuffix(c.Request().Header.Get(lastEventID), endSuffix) {
		return c.NoContent(http.StatusNoContent) // upon which an EventSource does not come back
	}
	stream := openStream(c)
	for {
		if stream.state(public(c, info)) != nil {
			return nil // the client is gone
		}
		if info.State.Final() {
			stream.end(&info.State)
			return nil
		}
		info, err = s.nextInfo(ctx, w, stream)
		switch {
		case errors.Is(err, tasks.ErrNotFound):
			stream.end(nil)
			return nil
		case err != nil:
			return nil // the client comes back, if it is there
		}
	}
}

// nextInfo waits for the next change and keeps the stream alive meanwhile.
func (s *Server) nextInfo(ctx context.Context, w *tasks.Watcher, stream *eventStream) (*tasks.Info, error) {
	draining := s.draining(ctx)
	for {
		select {
		case <-w.Changed():
			return w.Info()
		case <-s.heartbeat.over():
			if err := stream.beat(); err != nil {
				return nil, err
			}
		case <-draining:
			return nil, http.ErrServerClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// eventStream is an answer in the form text/event-stream.
type eventStream struct {
	c    echo.Context
	last int64 // id
}

var (
	contentEvents = []string{"text/event-stream"}
	unbuffered    = []string{"no"}
)

// openStream begins the answer; the first event sends it.
func openStream(c echo.Context) *eventStream {
	h := c.Response().Header()
	h["Content-Type"] = contentEvents
	h["Cache-Control"] = noStore
	h["X-Accel-Buffering"] = unbuffered // nginx would otherwise collect events
	return &eventStream{c: c}
}

// state sends where the task stands.
func (s *eventStream) state(info *tasks.Info) error {
	data, err := json.Marshal(info)
	if err != nil {
		return err
	}
	return s.send("state", "", data)
}

// end sends that no more events come. A task of which nothing is kept has no state.
func (s *eventStream) end(state *tasks.State) {
	data := []byte(`{"state":null}`)
	if state != nil {
		data = []byte(`{"state":"` + string(*state) + `"}`)
	}
	_ = s.send("end", endSuffix, data) // a client that is gone need not know
}

// send writes one event; data holds no line break. Its id is the time in milliseconds, or a little more, so that ids of
// a task's streams grow whichever process sends them.
func (s *eventStream) send(event, suffix string, data []byte) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	b := (*buf)[:0]
	if s.last == 0 {
		comeBack := minComeBack + rand.N(maxComeBack-minComeBack)
		b = append(strconv.AppendInt(append(b, "retry: "...), comeBack.Milliseconds(), 10), '\n')
	}
	s.last = max(s.last+1, time.Now().UnixMilli())
	b = append(append(b, "event: "...), event...)
	b = strconv.AppendInt(append(b, "\nid: "...), s.last, 10)
	b = append(append(b, suffix...), "\ndata: "...)
	b = append(append(b, data...), "\n\n"...)
	if cap(b) <= maxBuffer {
		*buf = b
	}
	return s.write(b)
}

var heartbeat = []byte(":\n\n")

func (s *eventStream) beat() error { return s.write(heartbeat) }

func (s *eventStream) write(b []byte) error {
	if _, err := s.c.Response().Write(b); err != nil {
		return err
	}
	return http.NewResponseController(s.c.Response()).Flush()
}

// pulse gives all who ask within a span one channel, which closes when it is over: one timer for all.
type pulse struct {
	span time.Duration

	mu   sync.Mutex
	next chan struct{}
}

func (p *pulse) over() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		next := make(chan struct{})
		p.next = next
		time.AfterFunc(p.span, func() {
			p.mu.Lock()
			p.next = nil
			p.mu.Unlock()
			close(next)
		})
	}
	return p.next
}
