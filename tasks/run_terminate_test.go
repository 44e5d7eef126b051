package tasks

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

func TestTerminate(t *testing.T) {
	t.Parallel()
	for name, returns := range map[string]error{"an error": errors.New("x"), "success": nil, "a snooze": Snooze(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, history := newFake(), &fakeHistory{}
			m := fakeMux(d, MuxOptions{History: history})
			var cause, ended error
			job(t, m, func(ctx context.Context) (string, error) {
				go d.terminate("not wanted")
				<-ctx.Done()
				cause, ended = context.Cause(ctx), ctx.Err()
				return "a result", returns
			})
			require.NoError(t, process(t.Context(), m, nil))
			require.Equal(t, ErrRevoked, cause)
			require.Equal(t, context.Canceled, ended)
			result, fenced := d.kept()
			require.Equal(t, "!REVOKED not wanted", result)
			require.False(t, fenced)
			a := d.lastAttempt(t)
			require.Equal(t, "revoked", a["outcome"])
			require.Equal(t, "not wanted", a["error"])
			require.Equal(t, []State{StateRevoked}, history.states())
		})
	}
}

func TestTerminateOfAHandlerThatIgnoresIt(t *testing.T) {
	t.Parallel()
	d, log, finish := newFake(), &testenv.LogBuffer{}, make(chan struct{})
	m := fakeMux(d, MuxOptions{Logger: slog.New(slog.NewTextHandler(log, nil))})
	job(t, m, func(context.Context) (string, error) {
		go d.terminate("not wanted")
		<-finish
		return "a result", nil
	})
	require.NoError(t, process(t.Context(), m, nil))
	result, fenced := d.kept()
	require.Equal(t, "!REVOKED not wanted", result)
	require.True(t, fenced)
	require.Contains(t, log.String(), "its slot is taken away")
	close(finish)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "has returned") }, 10*time.Second, time.Millisecond)
}

// A task that was terminated while nothing watched, because it is quick.
func TestTerminateOfAQuickHandler(t *testing.T) {
	t.Parallel()
	d := newFake()
	m := fakeMux(d, MuxOptions{})
	job(t, m, func(context.Context) (string, error) {
		d.terminate("not wanted")
		return "a result", nil
	})
	require.NoError(t, process(t.Context(), m, nil))
	result, _ := d.kept()
	require.Equal(t, "!REVOKED not wanted", result)
}

func TestRevokedBeforeItBegins(t *testing.T) {
	t.Parallel()
	d := newFake()
	d.terminate("not wanted")
	m := fakeMux(d, MuxOptions{})
	job(t, m, func(context.Context) (string, error) {
		t.Error("it must not run")
		return "", nil
	})
	require.NoError(t, process(t.Context(), m, nil))
	result, _ := d.kept()
	require.Equal(t, "!REVOKED not wanted", result)
	require.Empty(t, d.attempts, "there was none")
}
