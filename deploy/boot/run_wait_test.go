package boot

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// waited runs WaitFor on a fake clock, and returns when the tries were made, since the start.
func waited(t *testing.T, ctx context.Context, limit time.Duration, try func(attempt int) error) (tries []time.Duration, log string, err error) {
	t.Helper()
	var buf bytes.Buffer
	start := time.Now()
	err = WaitFor(ctx, textLogger(t, &buf), "MySQL", limit, func(context.Context) error {
		tries = append(tries, time.Since(start))
		return try(len(tries))
	})
	return tries, buf.String(), err
}

func seconds(list ...float64) []time.Duration {
	durations := make([]time.Duration, len(list))
	for i, s := range list {
		durations[i] = time.Duration(s * float64(time.Second))
	}
	return durations
}

func TestWaitForRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries, log, err := waited(t, t.Context(), time.Minute, func(attempt int) error {
			if attempt < 7 {
				return errors.New("connection refused")
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, seconds(0, 1, 3, 7, 15, 23, 31), tries)
		require.Equal(t, 6, strings.Count(log, "msg=waiting name=MySQL error=\"connection refused\""))
		require.Contains(t, log, "msg=reached name=MySQL waited=31s")
	})
}

func TestWaitForGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("connection refused")
		tries, _, err := waited(t, t.Context(), 5*time.Second, func(int) error { return refused })
		require.ErrorIs(t, err, refused)
		require.EqualError(t, err, "MySQL: gave up after 5s: connection refused")
		require.Equal(t, seconds(0, 1, 3, 5), tries, "the last try is at the limit")

		tries, log, err := waited(t, t.Context(), 0, func(int) error { return refused })
		require.ErrorIs(t, err, refused)
		require.Len(t, tries, 1)
		require.Empty(t, log)
	})
}

func TestWaitForStopsAtFatal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wrong := errors.New("wrong password")
		tries, _, err := waited(t, t.Context(), time.Minute, func(attempt int) error {
			if attempt == 1 {
				return errors.New("connection refused")
			}
			return Fatal(wrong)
		})
		require.ErrorIs(t, err, wrong)
		require.EqualError(t, err, "MySQL: wrong password")
		require.Equal(t, seconds(0, 1), tries)
	})
	require.NoError(t, Fatal(nil))
}

func TestWaitForEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(2*time.Second, func() { cancel(&SignalError{Signal: 15}) })
		tries, _, err := waited(t, ctx, time.Minute, func(int) error { return errors.New("connection refused") })
		require.EqualError(t, err, "waiting for MySQL: received SIGTERM")
		require.True(t, onlyCanceled(err), "Main takes it for a clean stop")
		require.Equal(t, seconds(0, 1), tries)
	})
}

func TestWaitForBoundsEachTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		start := time.Now()
		err := WaitFor(t.Context(), textLogger(t, &log), "MySQL", 15*time.Second, func(ctx context.Context) error {
			<-ctx.Done() // a server that never answers
			return ctx.Err()
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 21*time.Second, time.Since(start))
	})
}
