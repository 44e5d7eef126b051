package remote_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/localkey"
	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

// TestTheKeyOfALocalProgram goes to that program alone.
func TestTheKeyOfALocalProgram(t *testing.T) {
	t.Chdir(t.TempDir())
	a, err := remote.AccessFrom(lookup(nil), "reports")
	require.NoError(t, err)
	require.Equal(t, remote.Access{URL: remote.DefaultURL}, a)

	require.NoError(t, os.Mkdir(".reports", 0o755))
	file := localkey.Of("reports")
	_, err = localkey.Write(file, localkey.Access{URL: "http://127.0.0.1:8123", Key: "local"})
	require.NoError(t, err)
	local := remote.Access{URL: "http://127.0.0.1:8123", Key: "local", Source: file}
	for name, c := range map[string]struct {
		env  map[string]string
		want remote.Access
	}{
		"nothing set":         {nil, local},
		"its address":         {map[string]string{remote.URLVariable: "http://127.0.0.1:8123/"}, local},
		"another address":     {map[string]string{remote.URLVariable: "http://127.0.0.1:8000"}, remote.Access{URL: "http://127.0.0.1:8000"}},
		"a key":               {map[string]string{remote.KeyVariable: "mine"}, remote.Access{URL: remote.DefaultURL, Key: "mine", Source: remote.KeyVariable}},
		"an address's folder": {map[string]string{remote.URLVariable: "https://host/queue//"}, remote.Access{URL: "https://host/queue"}},
	} {
		a, err := remote.AccessFrom(lookup(c.env), "reports")
		require.NoError(t, err, name)
		require.Equal(t, c.want, a, name)
	}
	a, err = remote.AccessFrom(lookup(nil), "another")
	require.NoError(t, err)
	require.Empty(t, a.Key)
	require.NoError(t, os.Chmod(file, 0o644))
	_, err = remote.AccessFrom(lookup(nil), "reports")
	require.ErrorContains(t, err, "lets other users in: only 0600 is taken; set PAIDUI_OPERATOR_KEY")
}

func client(t *testing.T, handler http.HandlerFunc) *remote.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c := remote.New(remote.Options{Access: remote.Access{URL: server.URL, Key: "secret"}, Language: "en", Agent: "test"})
	t.Cleanup(c.Close)
	return c
}

// TestTheKeyIsNotLedAway: a redirect is told, and not followed.
func TestTheKeyIsNotLedAway(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was followed") }))
	t.Cleanup(elsewhere.Close)
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	_, err := c.Do(t.Context(), remote.Request{Method: http.MethodGet, Path: "/v1/queues"})
	require.ErrorContains(t, err, "leads elsewhere")
}

func TestAnswersAreBoundedInTimeAndSize(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			_, _ = io.Copy(w, io.LimitReader(endless{}, 65<<20))
			return
		}
		<-hold
	})
	defer close(hold)
	_, err := c.Do(t.Context(), remote.Request{Method: http.MethodGet, Path: "/slow", Timeout: 20 * time.Millisecond})
	require.ErrorContains(t, err, "does not answer: no answer within 20ms")
	require.True(t, remote.Temporary(err))
	_, err = c.Do(t.Context(), remote.Request{Method: http.MethodGet, Path: "/large", Timeout: testenv.Patience})
	require.ErrorContains(t, err, "is larger than 67108864 bytes")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Do(ctx, remote.Request{Method: http.MethodGet, Path: "/slow"})
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, remote.Temporary(err))
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestFollowGivesUp when the API was away for too long, and at once when it says no.
func TestFollowGivesUp(t *testing.T) {
	t.Parallel()
	status := http.StatusServiceUnavailable
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"code":503,"msg":"away","data":null}`)
	})
	lost := 0
	err := c.Follow(t.Context(), "t", time.Nanosecond, func(error) { lost++ }, nil)
	require.ErrorContains(t, err, "away (503)")
	require.LessOrEqual(t, lost, 1)
	status = http.StatusNotFound
	err = c.Follow(t.Context(), "t", time.Hour, func(error) { t.Error("lost") }, nil)
	require.True(t, remote.IsStatus(err, http.StatusNotFound))
}

func TestFollowEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "event: state\nid: 1\ndata: {}\n\n"+strings.Repeat(": a comment\n\n", 3)+"event: state\nid: 2\ndata: {}\n\n")
	})
	enough := errors.New("enough")
	got := 0
	err := c.Follow(t.Context(), "t", time.Hour, func(error) {}, func(remote.Event) error {
		if got++; got == 2 {
			return enough
		}
		return nil
	})
	require.ErrorIs(t, err, enough)
	require.Equal(t, 2, got)
}

func TestPathsAreEscaped(t *testing.T) {
	t.Parallel()
	require.Equal(t, "/v1/workers/a%2Fb%7Cc%3F", remote.Path("v1", "workers", "a/b|c?"))
}
