package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOverloadCountsWhatItIsAnswered offers a known number of requests to a server that refuses every third.
func TestOverloadCountsWhatItIsAnswered(t *testing.T) {
	t.Parallel()
	const all = 300
	var (
		mu      sync.Mutex
		bodies  = map[string]int{}
		answers int
	)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		bodies[string(body)+r.Header.Get("Authorization")]++
		answers++
		switch {
		case err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/things":
			w.WriteHeader(http.StatusBadRequest)
		case strings.HasPrefix(string(body), "wrong"):
			w.WriteHeader(http.StatusServiceUnavailable)
		case answers%3 == 0:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "full")
		default:
			_, _ = io.WriteString(w, "done")
		}
	}))
	defer server.Close()
	o := overload{clients: 7, limit: time.Hour, request: func(n int) (token, body string) {
		if n >= all {
			return "", ""
		}
		return "t", strings.Repeat("x", n+1)
	}}
	got, err := o.run(t.Context(), &child{url: server.URL}, "/v1/things")
	require.NoError(t, err)
	require.Equal(t, []int{all - all/3, all / 3}, []int{len(got.took), got.refused})
	require.InDelta(t, 1.0/3, got.refusedShare(), 1e-9)
	require.Positive(t, got.rate())
	require.Len(t, bodies, all, "each was asked once")
	require.Contains(t, bodies, "xBearer t")

	o.request = func(int) (token, body string) { return "", "wrong" }
	_, err = o.run(t.Context(), &child{url: server.URL}, "/v1/things")
	require.ErrorContains(t, err, "status 503, Retry-After false")
}
