package boot

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestServeHTTPWaitsForConnectionsThatWereTakenOver answers on one when the server drains.
func TestServeHTTPWaitsForConnectionsThatWereTakenOver(t *testing.T) {
	t.Parallel()
	taken := make(chan struct{})
	s := serving(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		draining := Draining(r.Context())
		go func() {
			defer conn.Close()
			close(taken)
			<-draining
			<-time.After(100 * time.Millisecond)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nafter all")
		}()
	}), 20*time.Second, defaultLimits())
	body := make(chan string, 1)
	go func() {
		_, got := s.get(t, "/")
		body <- got
	}()
	<-taken
	require.NoError(t, s.stopped())
	require.Equal(t, "after all", <-body)
}

func TestServeHTTPCutsOffConnectionsThatWereTakenOver(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	s := serving(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		go func() {
			defer conn.Close()
			_, err := conn.Read(make([]byte, 1))
			ended <- err
		}()
	}), 200*time.Millisecond, defaultLimits())
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.Never(t, func() bool { return len(ended) > 0 }, 50*time.Millisecond, 5*time.Millisecond)
	require.ErrorContains(t, s.stopped(), "cut off")
	require.ErrorIs(t, <-ended, net.ErrClosed)
}
