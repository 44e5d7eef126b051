package server_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
)

// TestAnswersOfTheHTTPServerWearTheEnvelope: no handler sees these requests.
func TestAnswersOfTheHTTPServerWearTheEnvelope(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	large := strings.Repeat("x", 4<<10)
	web := &http.Server{
		ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 1 << 10,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "a handler's", http.StatusBadRequest) }),
	}
	done := make(chan error, 1)
	go func() { done <- web.Serve(server.Envelopes(listener, "en")) }()
	t.Cleanup(func() {
		require.NoError(t, web.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	ask := func(request string) (*http.Response, []byte) {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, request)
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response, body
	}
	for request, status := range map[string]int{
		"GET / HTTP/1.1\r\nHost: a\r\nX-Large: " + strings.Repeat(large, 4) + "\r\n\r\n": 431,
		"GET / HTTP/1.1\r\n\r\n":                                     400,
		"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n":                       400,
		"nonsense\r\n\r\n":                                           400,
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: br\r\n\r\n": 501,
		"GET / HTTP/3.7\r\nHost: a\r\n\r\n":                          505,
	} {
		response, body := ask(request)
		require.Equal(t, status, response.StatusCode, "%.40s", request)
		require.Equal(t, []string{"application/json", "en"}, []string{
			response.Header.Get("Content-Type"), response.Header.Get("Content-Language"),
		})
		require.True(t, response.Close)
		require.NotEmpty(t, response.Header.Get("X-Request-Id"))
		var answer struct {
			Code int
			Msg  string
			Data any
		}
		require.NoError(t, json.Unmarshal(body, &answer), "%s", body)
		require.Equal(t, status, answer.Code)
		require.NotEmpty(t, answer.Msg)
	}
	_, body := ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	require.Equal(t, "a handler's\n", string(body))
}
