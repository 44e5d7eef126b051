package server_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/deploy/testenv"
)

// TestWaitsAreBounded has as many wait as may, in both ways, and one more of that address and of another.
func TestWaitsAreBounded(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, func(o *options) {
		o.Waits = server.Waits{All: 6, Address: 4}
	}, behindAProxy)
	id := s.add(t)
	wait := func(addr string, seconds string) answer { return s.Get("/v1/tasks/"+id+"?wait="+seconds, from(addr)) }
	ctx, leave := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer leave()
	begin := func(addr, path string) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Base+"/v1/tasks/"+id+path, nil)
		require.NoError(t, err)
		r.Header.Set("X-Forwarded-For", addr)
		before := s.api.Waiting()
		clients.Go(func() {
			res, err := s.HTTP.Do(r)
			if err == nil {
				_, _ = io.Copy(io.Discard, res.Body) // until leave
				_ = res.Body.Close()
			}
		})
		testenv.Eventually(t, func() bool { return s.api.Waiting() > before }, "it waits")
	}
	left := func(n int) { // a request is counted off after its answer
		testenv.Eventually(t, func() bool { return s.api.Waiting() == n }, "it has left")
	}
	for _, path := range []string{"/events", "?wait=60s", "/events", "?wait=60s"} {
		begin("192.0.2.1", path)
	}
	for _, refused := range []answer{wait("192.0.2.1", "1s"), s.Get("/v1/tasks/"+id+"/events", from("192.0.2.1"))} {
		require.Equal(t, 429, refused.Status, "%s", refused.Raw)
		require.Equal(t, "5", refused.Header.Get("Retry-After"))
	}
	require.Equal(t, 200, s.Get("/v1/tasks/"+id, from("192.0.2.1")).Status, "it may ask")
	for range 3 {
		require.Equal(t, 200, wait("2001:db8::1", "10ms").Status, "others wait, and leave again")
		left(4)
	}
	begin("2001:db8::1", "/events")
	begin("2001:db8::2", "?wait=60s")
	full := wait("192.0.2.3", "1s")
	require.Equal(t, []any{503, "5"}, []any{full.Status, full.Header.Get("Retry-After")}, "%s", full.Raw)
	leave()
	left(0)
	for range 10 {
		require.Equal(t, 200, wait("192.0.2.1", "10ms").Status, "each was counted off once")
		left(0)
	}
}
