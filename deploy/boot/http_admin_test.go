package boot

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func fine(context.Context) error { return nil }

// asked is what an admin handler answers.
func asked(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	res := httptest.NewRecorder()
	h.ServeHTTP(res, httptest.NewRequest(method, path, nil))
	return res
}

func TestHealthz(t *testing.T) {
	t.Parallel()
	broken := func(context.Context) error { return errors.New("broken") }
	h := Admin(AdminOptions{Name: "worker", Registry: NewRegistry("worker"), Checks: map[string]func(context.Context) error{"redis": broken}})
	res := asked(t, h, http.MethodGet, "/healthz")
	require.Equal(t, http.StatusOK, res.Code, "a process that lives is healthy, ready or not")
	require.JSONEq(t, `{"status":"ok","name":"worker","version":"`+Version()+`"}`, res.Body.String())
	require.Equal(t, http.StatusOK, asked(t, h, http.MethodHead, "/healthz").Code)
	require.Equal(t, http.StatusMethodNotAllowed, asked(t, h, http.MethodPost, "/healthz").Code)
	require.Equal(t, http.StatusNotFound, asked(t, h, http.MethodGet, "/nope").Code)
}

// TestReadyzNotes: what makes the process worse, but does not keep it from its work, is said beside the checks.
func TestReadyzNotes(t *testing.T) {
	t.Parallel()
	h := Admin(AdminOptions{
		Name: "api", Registry: NewRegistry("api"), Checks: map[string]func(context.Context) error{"redis": fine},
		Notes: map[string]func(context.Context) []string{
			"b": func(context.Context) []string { return []string{"waits are slower"} },
			"a": func(context.Context) []string { return nil },
		},
	})
	res := asked(t, h, http.MethodGet, "/readyz")
	require.Equal(t, http.StatusOK, res.Code)
	require.JSONEq(t, `{"status":"ready","checks":{"redis":"ok"},"notes":["waits are slower"]}`, res.Body.String())
}

func TestReadyz(t *testing.T) {
	t.Parallel()
	stopping := make(chan struct{})
	close(stopping)
	refused := func(context.Context) error { return errors.New("dial tcp 127.0.0.1:3306: connection refused") }
	type checks = map[string]func(context.Context) error
	for _, c := range []struct {
		name     string
		checks   checks
		stopping chan struct{}
		code     int
		body     string
	}{
		{"no checks", nil, nil, 200, `{"status":"ready","checks":{}}`},
		{"all pass", checks{"redis": fine, "mysql": fine}, make(chan struct{}), 200,
			`{"status":"ready","checks":{"redis":"ok","mysql":"ok"}}`},
		{"one fails", checks{"redis": fine, "mysql": refused}, nil, 503,
			`{"status":"not ready","checks":{"redis":"ok","mysql":"dial tcp 127.0.0.1:3306: connection refused"}}`},
		{"stopping", checks{"redis": fine}, stopping, 503, `{"status":"stopping","checks":{"redis":"ok"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := Admin(AdminOptions{Name: "api", Registry: NewRegistry("api"), Checks: c.checks, Stopping: c.stopping})
			res := asked(t, h, http.MethodGet, "/readyz")
			require.Equal(t, c.code, res.Code)
			require.JSONEq(t, c.body, res.Body.String())
			require.Equal(t, "no-store", res.Header().Get("Cache-Control"))
		})
	}
}

func TestReadyzIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		h := Admin(AdminOptions{Name: "api", Registry: NewRegistry("api"), Checks: map[string]func(context.Context) error{
			"redis": hang, "mysql": hang, "pool": fine,
		}})
		start := time.Now()
		res := asked(t, h, http.MethodGet, "/readyz")
		require.Equal(t, 2*time.Second, time.Since(start), "the checks run side by side")
		require.Equal(t, http.StatusServiceUnavailable, res.Code)
		var ready readiness
		require.NoError(t, json.Unmarshal(res.Body.Bytes(), &ready))
		require.Equal(t, map[string]string{
			"redis": context.DeadlineExceeded.Error(), "mysql": context.DeadlineExceeded.Error(), "pool": "ok",
		}, ready.Checks)
	})
}

func TestMetricsAndProfiles(t *testing.T) {
	t.Parallel()
	h := Admin(AdminOptions{Name: "scheduler", Registry: NewRegistry("scheduler"), Pprof: true})
	res := asked(t, h, http.MethodGet, "/metrics")
	require.Equal(t, http.StatusOK, res.Code)
	for _, want := range []string{
		`paidui_build_info{name="scheduler",version="` + Version() + `"} 1`, "go_goroutines ", "process_open_fds ",
	} {
		require.Contains(t, res.Body.String(), want)
	}
	for path, want := range map[string]string{
		"/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile:", "/debug/pprof/cmdline": "test",
	} {
		res := asked(t, h, http.MethodGet, path)
		require.Equal(t, http.StatusOK, res.Code, path)
		require.Contains(t, res.Body.String(), want, path)
	}
}

func TestProfilesAreForOperators(t *testing.T) {
	t.Parallel()
	ask := func(o AdminOptions, authorization string) int {
		o.Registry = NewRegistry("api")
		req := httptest.NewRequest(http.MethodGet, "/debug/pprof/cmdline", nil)
		req.Header.Set("Authorization", authorization)
		res := httptest.NewRecorder()
		Admin(o).ServeHTTP(res, req)
		return res.Code
	}
	const key = "a-key-of-operators"
	require.Equal(t, http.StatusOK, ask(AdminOptions{Pprof: true}, ""))
	require.Equal(t, http.StatusOK, ask(AdminOptions{OperatorKey: key}, "Bearer "+key))
	require.Equal(t, http.StatusUnauthorized, ask(AdminOptions{OperatorKey: key}, "Bearer wrong"))
	require.Equal(t, http.StatusUnauthorized, ask(AdminOptions{OperatorKey: key}, ""))
	require.Equal(t, http.StatusUnauthorized, ask(AdminOptions{}, "Bearer "), "no key is nobody's")
}
