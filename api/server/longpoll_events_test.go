package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/demo"
	"github.com/paidui/paidui/tasks/taskstest"
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
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Base+"/v1/tasks/"+id+"/events", nil)
	require.NoError(t, err)
	for _, m := range more {
		m(r)
	}
	response, err := s.HTTP.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	require.Equal(t, status, response.StatusCode)
	s.Hold(r, nil, answer{Status: status, Header: response.Header})
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

// ends reads the last event and the end of the stream.
func (s *stream) ends(data string) event {
	s.t.Helper()
	e, ok := s.next()
	require.True(s.t, ok)
	require.Equal(s.t, []string{"end", data}, []string{e.name, e.data})
	_, ok = s.next()
	require.False(s.t, ok)
	return e
}

func (s *system) add(t *testing.T, more ...any) (id string) {
	t.Helper()
	body := map[string]any{"task": "demo.add", "args": map[string]int{"n": 10, "m": 20}}
	for i := 0; i < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	made := s.Post("/v1/tasks", body, asOperator)
	require.Equal(t, 100, made.Code, "%s", made.Raw)
	return made.TaskID
}

func TestEventsUntilTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.add(t)
	anyone, operator := s.follow(t, 200, id), s.follow(t, 200, id, asOperator)
	require.Equal(t, "text/event-stream", anyone.response.Header.Get("Content-Type"))
	require.Equal(t, "no-store", anyone.response.Header.Get("Cache-Control"))
	require.Equal(t, "no", anyone.response.Header.Get("X-Accel-Buffering"))
	got, first := anyone.state()
	require.Equal(t, []any{id, "PENDING"}, []any{got.ID, got.State})
	require.Nil(t, got.Args)
	require.NotEmpty(t, first.retry)
	got, _ = operator.state()
	require.Equal(t, map[string]any{"n": 10.0, "m": 20.0}, got.Args)

	begun, report, finish := make(chan struct{}), make(chan struct{}), make(chan struct{})
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
	tasks.Handle(mux, demo.Add, func(ctx context.Context, a demo.AddArgs) (int, error) {
		close(begun)
		<-report
		if err := tasks.Progress(ctx, 1, 3, "adding"); err != nil {
			return 0, err
		}
		<-finish
		return a.N + a.M, nil
	})
	taskstest.Serve(t, s.broker, mux, "default")
	<-begun
	for _, one := range []*stream{anyone, operator} {
		got, e := one.state()
		require.Equal(t, "STARTED", got.State)
		require.Greater(t, e.id, first.id)
	}
	close(report)
	for _, one := range []*stream{anyone, operator} {
		got, e := one.state()
		require.Equal(t, "PROGRESS", got.State)
		require.Contains(t, e.data, `"progress":{"done":1,"total":3,"note":"adding","at":"`)
	}
	close(finish)
	for _, one := range []*stream{anyone, operator} {
		got, e := one.state()
		require.Equal(t, []any{"SUCCESS", 30.0}, []any{got.State, got.Result})
		require.Equal(t, one == operator, strings.Contains(e.data, `"worker"`), e.data)
		last := one.ends(`{"state":"SUCCESS"}`)
		require.Regexp(t, `^\d+\.end$`, last.id)
		require.Greater(t, last.id, e.id)
	}

	// Who comes later gets the end at once; who has had it is told not to come again.
	late := s.follow(t, 200, id, header("Last-Event-ID", first.id))
	got, _ = late.state()
	require.Equal(t, "SUCCESS", got.State)
	last := late.ends(`{"state":"SUCCESS"}`)
	s.follow(t, http.StatusNoContent, id, header("Last-Event-ID", last.id))
}

func TestEventsTellRetriesAndWhatIsGone(t *testing.T) {
	t.Parallel()
	s := start(t)
	tries := 0
	s.fail(t, func(mux *tasks.Mux) {
		tasks.Handle(mux, demo.Add, func(context.Context, demo.AddArgs) (int, error) {
			if tries++; tries == 1 {
				return 0, errors.New("secret detail")
			}
			return 1, nil
		})
	})
	id := s.add(t, "countdown", "2s", "retention", 0, "backoff", map[string]any{"base": "1s", "cap": "1s"})
	events := s.follow(t, 200, id, inEnglish)
	var seen []string
	for {
		e, ok := events.next()
		require.True(t, ok)
		require.NotContains(t, e.data, "secret detail")
		if e.name == "end" {
			require.Equal(t, `{"state":null}`, e.data)
			break
		}
		var got task
		require.NoError(t, json.Unmarshal([]byte(e.data), &got))
		if n := len(seen); n == 0 || seen[n-1] != got.State {
			seen = append(seen, got.State)
		}
		if got.State == "RETRY" {
			require.Equal(t, "the last attempt failed", got.Error)
		}
	}
	require.Equal(t, "PENDING", seen[0])
	require.Contains(t, seen, "RETRY")
}

func TestEventsOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	for id, status := range map[string]int{"nobody": 404, "default_0192d9a0-0000-7000-8000-000000000000": 404, "a%20b": 400} {
		a := s.Get("/v1/tasks/" + id + "/events")
		require.Equal(t, status, a.Code, "%s", a.Raw)
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
	require.Eventually(t, func() bool { return s.metric(t, "paidui_http_requests_in_flight") == 0 }, 20*time.Second, time.Millisecond)
}

func TestEventsEndWhenTheServerDrains(t *testing.T) {
	t.Parallel()
	draining := make(chan struct{})
	s := assembleEmbedded(t, func(o *options) {
		o.Draining = func(context.Context) <-chan struct{} { return draining }
	})
	id := s.add(t)
	events := s.follow(t, 200, id)
	events.state()
	close(draining)
	_, ok := events.next()
	require.False(t, ok, "without an event, so that the client comes back")
}
