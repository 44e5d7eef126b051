package beat

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

func TestSystemClockWaits(t *testing.T) {
	t.Parallel()
	c := systemClock{}
	until := c.Now().Add(30 * time.Millisecond)
	require.NoError(t, c.WaitUntil(t.Context(), until))
	require.False(t, c.Now().Before(until))
	require.NoError(t, c.WaitUntil(t.Context(), until), "a time that has passed")

	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	require.ErrorIs(t, c.WaitUntil(ctx, c.Now().Add(time.Hour)), context.Canceled)
	require.ErrorIs(t, c.WaitUntil(ctx, until), context.Canceled)
}

func TestOutageIsLoggedNowAndThen(t *testing.T) {
	t.Parallel()
	var log testenv.LogBuffer
	o := newOutage(slog.New(slog.NewTextHandler(&log, nil)))
	o.answered("a")
	require.NoError(t, o.current())
	for range 50 {
		o.failed("a", errors.New("refused"))
	}
	require.EqualError(t, o.current(), "refused")
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	o.logged = o.logged.Add(-outageLogInterval)
	o.failed("a", errors.New("refused"))
	require.Contains(t, log.String(), "failures=51")
	o.answered("a")
	require.NoError(t, o.current())
	require.Equal(t, 3, strings.Count(log.String(), "\n"))
	require.Contains(t, log.String(), "the broker and the database answer again")
}

// A part that waits for one store keeps the outage up, whatever the other parts are answered.
func TestAnOutageEndsWithTheLastPartThatWaits(t *testing.T) {
	t.Parallel()
	var log testenv.LogBuffer
	o := newOutage(slog.New(slog.NewTextHandler(&log, nil)))
	for range 20 {
		o.failed("durable", errors.New("database"))
		o.answered("plain")
		require.EqualError(t, o.current(), "database")
	}
	o.failed(announcements, errors.New("broker"))
	require.EqualError(t, o.current(), "broker")
	o.answered(announcements)
	require.EqualError(t, o.current(), "database")
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	o.failed("plain", errors.New("broker"))
	o.answered("durable")
	require.EqualError(t, o.current(), "broker")
	o.forget("plain")
	require.NoError(t, o.current())
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
}
