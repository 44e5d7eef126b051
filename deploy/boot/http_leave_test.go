package boot

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestServeHTTPServesOnBeforeItDrains tells a server to stop, and goes on asking it: it answers on old and on new
// connections until the delay is over, and each answer is the last of its connection.
func TestServeHTTPServesOnBeforeItDrains(t *testing.T) {
	t.Parallel()
	ln, err := Listen(t.Context(), "PAIDUI_HTTP_ADDR", "127.0.0.1:0")
	require.NoError(t, err)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-Draining(r.Context()):
			fmt.Fprint(w, "draining")
		case <-Leaving(r.Context()):
			fmt.Fprint(w, "leaving")
		default:
			fmt.Fprint(w, "serving")
		}
	})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	log := new(buffer)
	result := make(chan error, 1)
	go func() {
		result <- ServeHTTP(ctx, ln, h, ServeOptions{Logger: textLogger(t, log), Delay: 2 * time.Second, Drain: 20 * time.Second})
	}()
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	ask := func() (body string, last bool, err error) {
		res, err := client.Get("http://" + ln.Addr().String())
		if err != nil {
			return "", false, err
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		return string(raw), res.Close, err
	}
	body, last, err := ask()
	require.NoError(t, err)
	require.Equal(t, "serving", body)
	require.False(t, last)

	stop()
	leaving := 0
	for {
		body, last, err := ask()
		if err != nil {
			break // the listener is closed
		}
		require.Contains(t, []string{"serving", "leaving", "draining"}, body)
		require.Equal(t, body != "serving", last, body)
		if body == "leaving" {
			leaving++
		}
	}
	require.Greater(t, leaving, 2)
	require.NoError(t, <-result)
	require.Contains(t, log.String(), "msg=leaving")
	_, err = net.Dial("tcp", ln.Addr().String())
	require.Error(t, err)
	require.Nil(t, Leaving(context.Background()))
}
