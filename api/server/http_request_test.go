package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
)

type testKey struct{}

// begun is a request in a bubble of its own, and what its server cancels it with.
func begun(header ...string) (*request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), testKey{}, "the server's"))
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	c := echo.New().NewContext(r, httptest.NewRecorder())
	beginRequest(c, nil, Chinese)
	return requestOf(c), cancel
}

func TestARequestEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, waits := range []bool{true, false} {
			r, cancel := begun()
			defer cancel()
			r.setTimeout(10 * time.Second)
			deadline, ok := r.Deadline()
			require.True(t, ok)
			require.Equal(t, 10*time.Second, time.Until(deadline))
			if waits {
				r.Done()
			}
			time.Sleep(10*time.Second - 1)
			synctest.Wait()
			require.NoError(t, r.Err())
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			require.ErrorIs(t, r.Err(), context.DeadlineExceeded)
			<-r.Done()
		}
	})
}

func TestARequestEndsWithItsServerOrItsHandler(t *testing.T) {
	t.Parallel()
	ends := map[string]func(r *request, hangUp func()){
		"the client hung up":   func(_ *request, hangUp func()) { hangUp() },
		"the handler returned": func(r *request, _ func()) { r.end() },
	}
	for name, end := range ends {
		for _, limited := range []bool{true, false} {
			for _, waits := range []bool{true, false} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					r, hangUp := begun()
					defer hangUp()
					if limited {
						r.setTimeout(time.Hour)
					}
					if waits {
						r.Done()
					}
					require.NoError(t, r.Err())
					end(r, hangUp)
					require.ErrorIs(t, r.Err(), context.Canceled)
					<-r.Done()
					require.NoError(t, context.WithoutCancel(r).Err())
				})
			}
		}
	}
}

func TestContextsOfARequestEndWithIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, hangUp := begun()
		defer hangUp()
		r.setTimeout(time.Second)
		longer, cancel := context.WithTimeout(r, time.Minute)
		defer cancel()
		told := make(chan struct{})
		stop := context.AfterFunc(longer, func() { close(told) })
		defer stop()
		shorter, cancelShorter := context.WithTimeout(r, time.Millisecond)
		defer cancelShorter()
		<-shorter.Done()
		require.NoError(t, longer.Err())
		<-told
		require.ErrorIs(t, longer.Err(), context.DeadlineExceeded)
		require.ErrorIs(t, context.Cause(longer), context.DeadlineExceeded)
	})
}

func TestARequestKnowsItself(t *testing.T) {
	t.Parallel()
	r, hangUp := begun("X-Request-ID", "the-id", "Accept-Language", "en")
	defer hangUp()
	for range 2 { // the second time with a context that has started
		inner := context.WithValue(r, requestKey{}, "shadowed")
		require.Equal(t, "shadowed", inner.Value(requestKey{}))
		require.Equal(t, r, r.Value(requestKey{}))
		require.Equal(t, "the server's", r.Value(testKey{}))
		require.Equal(t, "the-id", tasks.RequestID(r))
		require.Equal(t, English, r.language)
		_, bounded := r.Deadline()
		require.False(t, bounded)
		r.Done()
	}
}

func TestSafeRequestIDs(t *testing.T) {
	t.Parallel()
	for _, safe := range []string{"a", "abc:1/2+3=@._-", strings.Repeat("Z", 128)} {
		require.True(t, safeRequestID(safe), safe)
	}
	for _, unsafe := range []string{"", " ", "a\n", "é", "a,b", "\x00", strings.Repeat("a", 129)} {
		require.False(t, safeRequestID(unsafe), unsafe)
	}
}
