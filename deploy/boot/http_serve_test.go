package boot

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// running is a running server of a test.
type running struct {
	url, addr string
	client    *http.Client
	log       *buffer
	stop      context.CancelFunc
	result    chan error
}

// serving starts a server; the test must stop it.
func serving(t *testing.T, h http.Handler, drain time.Duration, limit limits, changes ...func(*ServeOptions)) *running {
	t.Helper()
	ln, err := Listen(t.Context(), "PAIDUI_HTTP_ADDR", "127.0.0.1:0")
	require.NoError(t, err)
	transport := new(http.Transport)
	ctx, stop := context.WithCancel(context.Background())
	s := &running{
		url: "http://" + ln.Addr().String(), addr: ln.Addr().String(),
		client: &http.Client{Transport: transport, Timeout: 20 * time.Second},
		log:    new(buffer), stop: stop, result: make(chan error, 1),
	}
	o := ServeOptions{Logger: textLogger(t, s.log), Drain: drain}
	for _, change := range changes {
		change(&o)
	}
	go func() { s.result <- serve(ctx, ln, h, o, limit) }()
	t.Cleanup(func() {
		stop()
		transport.CloseIdleConnections()
	})
	return s
}

// stopped stops the server and returns what it returned.
func (s *running) stopped() error {
	s.stop()
	return <-s.result
}

// get returns the status and the body of an answer.
func (s *running) get(t *testing.T, path string) (int, string) {
	t.Helper()
	res, err := s.client.Get(s.url + path)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func TestServeHTTPFinishesRequests(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := serving(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		fmt.Fprint(w, "finished, context: ", r.Context().Err())
	}), 20*time.Second, defaultLimits())

	type answer struct {
		body string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		res, err := s.client.Get(s.url)
		if err != nil {
			answers <- answer{err: err}
			return
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		answers <- answer{string(body), err}
	}()
	<-entered
	s.stop()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	}, 10*time.Second, 5*time.Millisecond, "it accepts nothing more")
	close(release)
	require.Equal(t, answer{"finished, context: <nil>", nil}, <-answers)
	require.NoError(t, <-s.result)
	require.Contains(t, s.log.String(), "msg=listening")
	require.Contains(t, s.log.String(), "msg=draining")
}

func TestServeHTTPTellsWaitingHandlers(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	s := serving(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		select {
		case <-Draining(r.Context()):
		case <-r.Context().Done():
			t.Error("the request was ended, not told")
		}
	}), time.Minute, defaultLimits())
	go func() {
		if res, err := s.client.Get(s.url); err == nil {
			res.Body.Close()
		}
	}()
	<-entered
	began := time.Now()
	require.NoError(t, s.stopped())
	require.Less(t, time.Since(began), 20*time.Second)
	require.Nil(t, Draining(context.Background()))
}

func TestServeHTTPEndsContextsBeforeTheDrainIsOver(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	s := serving(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}), 4*time.Second, defaultLimits())
	go func() {
		if res, err := s.client.Get(s.url); err == nil {
			res.Body.Close()
		}
	}()
	<-entered
	require.NoError(t, s.stopped())
}

func TestServeHTTPCutsOff(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := serving(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	}), 50*time.Millisecond, defaultLimits())
	failed := make(chan error, 1)
	go func() {
		res, err := s.client.Get(s.url)
		if err == nil {
			res.Body.Close()
		}
		failed <- err
	}()
	<-entered
	require.ErrorContains(t, s.stopped(), "requests were cut off after 50ms")
	require.Error(t, <-failed)
	close(release)
}

func TestServeHTTPReportsALostListener(t *testing.T) {
	t.Parallel()
	ln, err := Listen(t.Context(), "PAIDUI_HTTP_ADDR", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	err = ServeHTTP(t.Context(), ln, http.NotFoundHandler(), ServeOptions{Logger: textLogger(t, io.Discard), Drain: time.Second})
	require.ErrorIs(t, err, net.ErrClosed)
}

// short are limits that a test can outlive; header and idle ones are not what it tests.
func short() limits {
	l := defaultLimits()
	l.read, l.write = 300*time.Millisecond, 300*time.Millisecond
	return l
}

func TestLongAnswersLive(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/poll", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		select {
		case <-time.After(time.Second): // longer than both limits
			io.WriteString(w, "state")
		case <-r.Context().Done():
			t.Error("the context ended with the read timeout")
		}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, _ *http.Request) {
		for i := range 5 {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			time.Sleep(200 * time.Millisecond)
			fmt.Fprintf(w, "data: %d\n", i)
			w.(http.Flusher).Flush()
		}
	})
	s := serving(t, mux, time.Second, short())
	for range 2 { // the second time on a connection whose old deadline has passed
		status, body := s.get(t, "/poll")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "state", body)
	}
	res, err := s.client.Post(s.url+"/poll", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	_, body := s.get(t, "/events")
	require.Equal(t, "data: 0\ndata: 1\ndata: 2\ndata: 3\ndata: 4\n", body)
	require.NoError(t, s.stopped())
}

func TestADeadlineOfAHandlerEndsWithTheNextWrite(t *testing.T) {
	t.Parallel()
	s := serving(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.RemoteAddr)
		at := time.Now().Add(-time.Hour)
		if r.URL.Path == "/later" {
			at = time.Now().Add(time.Hour)
		}
		if err := http.NewResponseController(w).SetWriteDeadline(at); err != nil {
			t.Error(err)
		}
	}), time.Second, short())
	_, first := s.get(t, "/later")
	for range 3 {
		status, addr := s.get(t, "/past")
		require.Equal(t, []any{http.StatusOK, first}, []any{status, addr}, "on the same connection")
	}
	require.NoError(t, s.stopped())
}

func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	wrote := make(chan error, 1)
	s := serving(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, err := io.Copy(io.Discard, r.Body)
			wrote <- err
			return
		}
		block := make([]byte, 1<<20)
		for {
			if _, err := w.Write(block); err != nil {
				wrote <- err
				return
			}
		}
	}), time.Second, short())

	for name, request := range map[string]string{
		"reads no answer":    "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n",
		"sends half a body":  "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
		"sends no more body": "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		conn, err := net.Dial("tcp", s.addr)
		require.NoError(t, err)
		_, err = io.WriteString(conn, request)
		require.NoError(t, err)
		select {
		case err := <-wrote:
			var timeout net.Error
			require.ErrorAs(t, err, &timeout, name)
			require.True(t, timeout.Timeout(), name)
		case <-time.After(20 * time.Second):
			t.Fatalf("a client that %s is served for ever", name)
		}
		require.NoError(t, conn.Close())
	}
	require.NoError(t, s.stopped())
}

func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	limit := defaultLimits()
	limit.read = 2 * time.Second
	s := serving(t, http.NotFoundHandler(), time.Second, limit)

	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost:")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = io.ReadAll(conn)
	require.NoError(t, err, "the server closes a connection whose header does not come")

	request, err := http.NewRequest(http.MethodGet, s.url, nil)
	require.NoError(t, err)
	request.Header.Set("X-Large", strings.Repeat("x", 100<<10))
	res, err := s.client.Do(request)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, res.StatusCode)
	require.NoError(t, s.stopped())
}

func TestConnectionsMayBeTakenOver(t *testing.T) {
	t.Parallel()
	s := serving(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(rw, "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n")
		rw.Flush()
	}), time.Second, defaultLimits())
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 418 I'm a teapot\r\n", line)
	require.NoError(t, s.stopped())
}
