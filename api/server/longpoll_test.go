package server_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// long is more than a request waits before its connection is taken over.
const long = 600 * time.Millisecond

// TestALongPollIsAnsweredLikeAnyOther but for the connection, which it closes.
func TestALongPollIsAnsweredLikeAnyOther(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, func(o *options) { o.CORSOrigins = []string{"https://shop.example.com"} })
	id := s.add(t)
	more := []with{header("X-Request-ID", "mine"), header("Origin", "https://shop.example.com"), inEnglish}
	at := s.Get("/v1/tasks/"+id+"?wait=1ms", more...)
	longpoll := s.Get("/v1/tasks/"+id+"?wait="+long.String(), more...)
	require.Equal(t, at.Raw, longpoll.Raw)
	at.Header.Del("Date")
	longpoll.Header.Del("Date")
	require.Equal(t, at.Header, longpoll.Header)
	indented := s.Get("/v1/tasks/"+id+"?pretty&wait="+long.String(), asOperator)
	require.Contains(t, string(indented.Raw), "\n  \"code\": 100,\n")
	require.Contains(t, string(indented.Raw), "args")

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Base+"/v1/tasks/"+id+"?wait="+long.String(), nil)
	require.NoError(t, err)
	response, err := s.HTTP.Do(r)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.True(t, response.Close)
	require.EqualValues(t, len(body), response.ContentLength)
	require.NotEmpty(t, response.Header.Get("Date"))

	lines := s.logged(t)
	last := lines[len(lines)-1]
	require.Equal(t, []any{"/v1/tasks/:id", 200.0, float64(len(body))}, []any{last["route"], last["status"], last["bytes"]})
	require.GreaterOrEqual(t, last["ms"], float64(long.Milliseconds()))
	require.Eventually(t, func() bool { return s.metric(t, "paidui_http_requests_in_flight") == 0 }, 20*time.Second, time.Millisecond)
}

// TestALongPollCanFail: the task goes and leaves nothing.
func TestALongPollCanFail(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	id := s.add(t, "retention", 0)
	time.AfterFunc(long, func() { s.work(t) })
	a := s.Get("/v1/tasks/" + id + "?wait=60s")
	require.Equal(t, []any{404, 404}, []any{a.Status, a.Code}, "%s", a.Raw)
}

func TestALongPollNoticesThatItsClientIsGone(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Base+"/v1/tasks/"+s.add(t)+"?wait=60s", nil)
	require.NoError(t, err)
	_, err = s.HTTP.Do(r) //nolint:bodyclose // there is no answer
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Eventually(t, func() bool { return s.metric(t, "paidui_http_requests_in_flight") == 0 }, 30*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool { return contains(s.log.String(), `"status":499`) }, 20*time.Second, time.Millisecond)
}

// TestTheClientOfALongPollMaySpeak: what it sends before its answer is not answered, and does no harm.
func TestTheClientOfALongPollMaySpeak(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.Base, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /v1/tasks/"+s.add(t)+"?wait=5s HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	time.AfterFunc(long, func() { _, _ = io.WriteString(conn, "x") })
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
}
