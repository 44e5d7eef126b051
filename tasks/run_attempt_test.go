package tasks

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

var tight = map[string]string{headerTimeout: "20", headerHard: "60"} // ms

func TestSoftLimitLetsTheHandlerTidyUp(t *testing.T) {
	t.Parallel()
	d := newFake()
	m := fakeMux(d, MuxOptions{})
	var cause error
	job(t, m, func(ctx context.Context) (string, error) {
		<-ctx.Done()
		cause = context.Cause(ctx)
		return "", errors.New("tidied up")
	})
	err := process(t.Context(), m, map[string]string{headerTimeout: "20"})
	require.EqualError(t, err, "timed out after 20ms: tidied up")
	require.ErrorIs(t, cause, context.DeadlineExceeded)
	_, fenced := d.kept()
	require.False(t, fenced)
	require.Equal(t, "failure", d.lastAttempt(t)["outcome"], "there are no retries")
}

func TestHardLimitTakesTheSlotAway(t *testing.T) {
	t.Parallel()
	d, log, history := newFake(), &testenv.LogBuffer{}, &fakeHistory{}
	metrics := newFakeMetrics()
	m := fakeMux(d, MuxOptions{
		Logger: slog.New(slog.NewTextHandler(log, nil)), Metrics: metrics, History: history,
	})
	finish, late := make(chan struct{}), make(chan error, 2)
	var hook error
	Handle(m, Define[noArgs, string]("test.job"), func(ctx context.Context, _ noArgs) (string, error) {
		<-finish
		late <- Progress(ctx, 1, 2, "")
		late <- Current(ctx).MayWrite(ctx)
		return "a result", nil
	}, FailureHook(func(_ context.Context, _ noArgs, cause error) error {
		hook = cause
		return nil
	}))
	begun := time.Now()
	err := process(t.Context(), m, tight)
	require.GreaterOrEqual(t, time.Since(begun), 60*time.Millisecond)
	var limit *TimeLimitError
	require.ErrorAs(t, err, &limit)
	require.Equal(t, 60*time.Millisecond, limit.Limit)
	require.True(t, IsPermanent(err))
	require.ErrorIs(t, hook, limit)
	_, fenced := d.kept()
	require.True(t, fenced)
	a := d.lastAttempt(t)
	require.Equal(t, "failure", a["outcome"])
	require.Equal(t, limit.Error(), a["error"])
	require.Equal(t, []State{StateFailure}, history.states())
	require.Contains(t, log.String(), "its slot is taken away")
	require.Contains(t, log.String(), "limit=60ms")
	require.Contains(t, log.String(), "task=test.job")

	require.Equal(t, map[string]int{"stuck": 1, "hard_timeout": 1, "took:failure": 1, "ended:FAILURE": 1}, metrics.of("test.job", ""))
	close(finish)
	require.ErrorIs(t, <-late, ErrFenced)
	require.ErrorIs(t, <-late, ErrFenced)
	require.Eventually(t, func() bool {
		return strings.Contains(log.String(), "a handler whose slot was taken away has returned")
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, map[string]int{"hard_timeout": 1, "took:failure": 1, "ended:FAILURE": 1}, metrics.of("test.job", ""), "counted once, with its outcome")
	result, _ := d.kept()
	require.Empty(t, result, "its result is dropped")
}

func TestPanicOfAnAbandonedHandlerIsHarmless(t *testing.T) {
	t.Parallel()
	log, finish := &testenv.LogBuffer{}, make(chan struct{})
	m := fakeMux(newFake(), MuxOptions{Logger: slog.New(slog.NewTextHandler(log, nil))})
	job(t, m, func(context.Context) (string, error) {
		<-finish
		panic("too late")
	})
	require.Error(t, process(t.Context(), m, tight))
	close(finish)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "panic: too late") }, 10*time.Second, time.Millisecond)
}

func TestHandlerThatLeavesItsGoroutineFails(t *testing.T) {
	t.Parallel()
	m := fakeMux(newFake(), MuxOptions{})
	job(t, m, func(context.Context) (string, error) {
		runtime.Goexit()
		return "", nil
	})
	require.ErrorIs(t, process(t.Context(), m, nil), errHandlerExit)
}

// The delivery ends (the worker drains, or has lost the lease), and the handler goes on.
func TestEndOfTheDelivery(t *testing.T) {
	t.Parallel()
	for name, stubborn := range map[string]bool{"handler returns": false, "handler goes on": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, history := newFake(), &fakeHistory{}
			m := fakeMux(d, MuxOptions{History: history})
			ctx, cancel := context.WithCancel(t.Context())
			finish, refused := make(chan struct{}), make(chan error, 1)
			job(t, m, func(ctx context.Context) (string, error) {
				cancel()
				<-ctx.Done()
				if stubborn {
					<-finish
					refused <- Progress(ctx, 1, 2, "")
				}
				return "a result", nil
			})
			require.ErrorIs(t, process(ctx, m, nil), context.Canceled)
			result, fenced := d.kept()
			require.Empty(t, result, "it came too late")
			require.Empty(t, history.states(), "it will run again")
			close(finish)
			if stubborn {
				require.True(t, fenced)
				require.ErrorIs(t, <-refused, ErrFenced)
			}
		})
	}
}

// A worker finds that another has taken over what it runs.
func TestTaskThatIsTakenOverEndsHere(t *testing.T) {
	t.Parallel()
	for name, stubborn := range map[string]bool{"handler returns": false, "handler goes on": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, history := newFake(), &fakeHistory{}
			m := fakeMux(d, MuxOptions{History: history})
			finish, cause, refused := make(chan struct{}), make(chan error, 1), make(chan error, 1)
			job(t, m, func(ctx context.Context) (string, error) {
				d.lost = ErrFenced
				close(d.terminated)
				<-ctx.Done()
				cause <- context.Cause(ctx)
				refused <- Progress(ctx, 1, 2, "")
				if stubborn {
					<-finish
				}
				return "a result", nil
			})
			require.ErrorIs(t, process(t.Context(), m, nil), ErrFenced)
			require.ErrorIs(t, <-cause, ErrFenced)
			require.ErrorIs(t, <-refused, ErrFenced)
			result, _ := d.kept()
			require.Empty(t, result)
			require.Empty(t, history.states(), "the other worker says what becomes of it")
			require.Equal(t, "interrupted", d.lastAttempt(t)["outcome"])
			close(finish)
		})
	}
}

// A worker that stood still finds that another has the task: what its attempt came to is nobody's business any more.
func TestAttemptThatLostItsTaskTellsNobody(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]error{"success": nil, "failure": errors.New("no")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, history := newFake(), &fakeHistory{}
			m := fakeMux(d, MuxOptions{History: history})
			Handle(m, Define[noArgs, string]("test.job"), func(context.Context, noArgs) (string, error) {
				d.lost = ErrFenced
				return "a result", result
			}, FailureHook(func(context.Context, noArgs, error) error {
				t.Error("it has not failed")
				return nil
			}))
			require.ErrorIs(t, process(t.Context(), m, nil), ErrFenced)
			kept, _ := d.kept()
			require.Empty(t, kept)
			require.Empty(t, history.states())
			require.Equal(t, "interrupted", d.lastAttempt(t)["outcome"])
		})
	}
}

func TestPoison(t *testing.T) {
	t.Parallel()
	d := newFake()
	d.crashes = 5
	m := fakeMux(d, MuxOptions{})
	var hook error
	Handle(m, Define[noArgs, string]("test.job"), func(context.Context, noArgs) (string, error) {
		t.Error("it must not run")
		return "", nil
	}, FailureHook(func(_ context.Context, _ noArgs, cause error) error {
		hook = cause
		return nil
	}))
	err := process(t.Context(), m, nil)
	require.True(t, IsPermanent(err))
	require.EqualError(t, err, "its worker died 5 times while running it")
	var crashed *CrashError
	require.ErrorAs(t, hook, &crashed)
	require.Equal(t, 5, crashed.Crashes)
	require.Equal(t, "failure", d.lastAttempt(t)["outcome"])

	d.crashes = 2
	require.EqualError(t, process(t.Context(), m, map[string]string{headerCrashes: "2"}), "its worker died 2 times while running it")
}

func TestFailureHookMayPanic(t *testing.T) {
	t.Parallel()
	log := &testenv.LogBuffer{}
	m := fakeMux(newFake(), MuxOptions{Logger: slog.New(slog.NewTextHandler(log, nil))})
	Handle(m, Define[noArgs, string]("test.job"), func(context.Context, noArgs) (string, error) {
		return "", errors.New("no")
	}, FailureHook(func(context.Context, noArgs, error) error { panic("hook") }))
	require.EqualError(t, process(t.Context(), m, nil), "no")
	require.Contains(t, log.String(), "failure hook failed")
}

func TestLongAttemptIsRememberedAtItsStart(t *testing.T) {
	t.Parallel()
	history := &fakeHistory{}
	m := fakeMux(newFake(), MuxOptions{History: history})
	job(t, m, func(context.Context) (string, error) {
		require.Eventually(t, func() bool { return len(history.states()) == 1 }, 20*time.Second, 5*time.Millisecond)
		return "done", nil
	})
	require.NoError(t, process(t.Context(), m, nil))
	require.Equal(t, []State{StateStarted, StateSuccess}, history.states())
}
