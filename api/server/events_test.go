package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
)

// event is one of a stream. A comment has only a text.
type event struct{ name, id, data, comment, retry string }

// stream reads the events of one answer.
type stream struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Scanner
}

// follow opens a stream, which must be answered with the status.
func (s *system) follow(t *testing.T, status int, id string, more ...with) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/v1/tasks/"+id+"/events", nil)
	require.NoError(t, err)
	for _, m := range more {
		m(r)
	}
	response, err := s.http.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	require.Equal(t, status, response.StatusCode)
	s.hold(r, nil, answer{status: status, header: response.Header})
	return &stream{t: t, response: response, lines: bufio.NewScanner(response.Body)}
}

// next is the next event; ok is false at the end of the stream.
func (s *stream) next() (e event, ok bool) {
	s.t.Helper()
	for s.lines.Scan() {
		field, value, _ := strings.Cut(s.lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "retry":
			e.retry = value
		case "":
			if s.lines.Text() == "" {
				return e, true
			}
			e.comment = s.lines.Text()
		}
	}
	return e, false
}

// state is the next event, which must be one of a task's state.
func (s *stream) state() (got task, e event) {
	s.t.Helper()
	e, ok := s.next()
	require.True(s.t, ok)
	require.Equal(s.t, "state", e.name, "%+v", e)
	require.NoError(s.t, json.Unmarshal([]byte(e.data), &got))
	return got, e
}

func (s *system) add(t *testing.T, more ...any) (id string) {
	t.Helper()
	body := map[string]any{"task": "demo.add", "args": map[string]int{"n": 10, "m": 20}}
	for i := 0; i < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	made := s.post("/v1/tasks", body, asOperator)
	require.Equal(t, 100, made.Code, "%s", made.raw)
	return made.TaskID
}

func TestEventsOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	for id, status := range map[string]int{"nobody": 404, "default_0192d9a0-0000-7000-8000-000000000000": 404, "a%20b": 400} {
		a := s.get("/v1/tasks/" + id + "/events")
		require.Equal(t, status, a.Code, "%s", a.raw)
	}
}

func TestEventsKeepTheConnection(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	s.api.SetHeartbeat(10 * time.Millisecond)
	events := s.follow(t, 200, s.add(t))
	events.state()
	for range 3 {
		e, ok := events.next()
		require.True(t, ok)
		require.Equal(t, ":", e.comment)
	}
	require.NoError(t, events.response.Body.Close())
	require.Eventually(t, func() bool { return s.metric(t, "paidui_http_requests_in_flight") == 0 }, 5*time.Second, time.Millisecond)
}

func TestEventsEndWhenTheServerDrains(t *testing.T) {
	t.Parallel()
	draining := make(chan struct{})
	s := assembleEmbedded(t, func(o *server.Options) {
		o.Draining = func(context.Context) <-chan struct{} { return draining }
	})
	id := s.add(t)
	events := s.follow(t, 200, id)
	events.state()
	close(draining)
	_, ok := events.next()
	require.False(t, ok, "without an event, so that the client comes back")
}
