package tasks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/deploy/testenv"
)

var errBusy = errors.New("busy")

type codeError struct{ code int }

func (e codeError) Error() string { return fmt.Sprint("code ", e.code) }

// judged is what a mux makes of an error at an attempt of a task with 3 retries.
func judged(t require.TestingT, attempt int, err error, opts ...Option) verdict {
	m := NewMux(MuxOptions{Logger: testenv.Quiet()})
	Handle(m, Define[noArgs, int]("test.judged", opts...), func(context.Context, noArgs) (int, error) { return 0, nil })
	a := m.newAttempt(context.Background(), asynq.NewTask("test.judged", nil))
	a.Attempt, a.MaxRetries = attempt, 3
	return a.judge(context.Background(), nil, err)
}

func TestWhichErrorsAreRetried(t *testing.T) {
	t.Parallel()
	only := RetryOnlyFor(ErrorIs(errBusy), ErrorAs[codeError]())
	never := NeverRetryFor(ErrorAs[*PanicError](), ErrorIs(errBusy))
	for name, c := range map[string]struct {
		err     error
		opts    []Option
		attempt int
		want    outcome
	}{
		"any error":                       {errors.New("x"), nil, 1, retrying},
		"the last retry":                  {errors.New("x"), nil, 3, retrying},
		"none left":                       {errors.New("x"), nil, 4, failed},
		"a panic":                         {&PanicError{Value: 1}, nil, 1, retrying},
		"a panic ruled out":               {&PanicError{Value: 1}, []Option{never}, 1, failed},
		"permanent":                       {fmt.Errorf("y: %w", Permanent(errBusy)), nil, 1, failed},
		"asynq's own word":                {fmt.Errorf("y: %w", asynq.SkipRetry), nil, 1, failed},
		"only for: one of them":           {fmt.Errorf("y: %w", errBusy), []Option{only}, 1, retrying},
		"only for: by type":               {fmt.Errorf("y: %w", codeError{3}), []Option{only}, 1, retrying},
		"only for: another":               {errors.New("x"), []Option{only}, 1, failed},
		"only for: a time limit":          {context.DeadlineExceeded, []Option{only}, 1, failed},
		"never for: one of them":          {errBusy, []Option{never}, 1, failed},
		"never for: another":              {errors.New("x"), []Option{never}, 1, retrying},
		"never wins over only":            {errBusy, []Option{only, never}, 1, failed},
		"asked for":                       {RetryIn(time.Second), nil, 1, retrying},
		"asked for, against the rules":    {RetryIn(time.Second, errBusy), []Option{never}, 1, retrying},
		"asked for, none left":            {RetryIn(time.Second), nil, 4, failed},
		"asked for, permanent":            {Permanent(RetryIn(time.Second)), nil, 1, failed},
		"snoozed":                         {Snooze(time.Second), nil, 1, snoozed},
		"snoozed, none left":              {fmt.Errorf("y: %w", Snooze(time.Second)), nil, 4, snoozed},
		"snoozed, whatever the rules say": {Snooze(time.Second), []Option{only}, 1, snoozed},
	} {
		require.Equal(t, c.want, judged(t, c.attempt, c.err, c.opts...).outcome, name)
	}
}

func TestWhatRetryInSays(t *testing.T) {
	t.Parallel()
	require.EqualError(t, RetryIn(2*time.Second), "asked to be retried in 2s")
	require.EqualError(t, RetryIn(time.Second, errBusy), "busy")
	both := RetryIn(time.Second, errBusy, codeError{3})
	require.EqualError(t, both, "busy\ncode 3")
	require.ErrorIs(t, both, errBusy)
	require.ErrorIs(t, both, codeError{3})
	require.EqualError(t, Snooze(time.Minute), "snoozed for 1m0s")
}

// What asynq is told of a decision: when the next attempt is, whether it costs a retry, and the error to be kept.
func TestWhatAsynqIsTold(t *testing.T) {
	t.Parallel()
	m := fakeMux(newFake(), MuxOptions{})
	var returns error
	job(t, m, func(context.Context) (string, error) { return "", returns },
		BackoffFunc(func(retry int, err error) time.Duration { return 40 * time.Second }))
	task := asynq.NewTask("test.job", []byte(`{}`))
	for name, c := range map[string]struct {
		err    error
		least  time.Duration
		counts bool
		text   string
	}{
		"snooze":    {Snooze(10 * time.Second), 10 * time.Second, false, ""},
		"not early": {Snooze(1500 * time.Millisecond), 1500 * time.Millisecond, false, ""},
		"at once":   {Snooze(0), 0, false, ""},
	} {
		returns = c.err
		before := time.Now()
		err := m.ProcessTask(t.Context(), task)
		require.Equal(t, c.counts, countsAsFailure(err), name)
		require.Equal(t, c.text, err.Error(), name)
		delay := NewMux(MuxOptions{}).retryDelay(0, err, task)
		stored := time.Now().Add(delay).Truncate(time.Second) // as asynq does
		require.GreaterOrEqual(t, stored.Sub(before), c.least, name)
		require.Less(t, stored.Sub(before), c.least+10*time.Second, name)
	}
}

func TestDelayOfARetry(t *testing.T) {
	t.Parallel()
	var asked []int
	own := BackoffFunc(func(retry int, err error) time.Duration {
		asked = append(asked, retry)
		switch {
		case errors.Is(err, errBusy):
			panic("no idea")
		case retry == 0:
			return -time.Second
		case retry == 1:
			return 5 * time.Second
		}
		return 1 << 62
	})
	exact := []Option{Backoff(3*time.Second, time.Minute), Jitter(false)}
	require.Zero(t, judged(t, 1, errors.New("x"), own).delay)
	require.Equal(t, 5*time.Second, judged(t, 2, errors.New("x"), own).delay)
	require.Equal(t, MaxTimeout, judged(t, 3, errors.New("x"), own).delay)
	require.Equal(t, []int{0, 1, 2}, asked)
	require.LessOrEqual(t, judged(t, 1, errBusy, own).delay, time.Second, "the task's own backoff")
	require.Equal(t, 7*time.Second, judged(t, 1, RetryIn(7*time.Second), append(exact, own)...).delay)
}

func TestDelaysAreBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64().Draw(t, "d"))
		want := min(max(d, 0), MaxDelay)
		require.Equal(t, want, judged(t, 1, RetryIn(d)).delay)
		require.Equal(t, want, judged(t, 1, Snooze(d)).delay)
	})
}

// What a task keeps of an error is text that asynq can store, and not without bound.
func TestStoredErrors(t *testing.T) {
	t.Parallel()
	m := fakeMux(newFake(), MuxOptions{})
	var returns error
	job(t, m, func(context.Context) (string, error) { return "", returns })
	returns = errors.New("bad\xffbytes")
	require.EqualError(t, process(t.Context(), m, nil), "bad\uFFFDbytes")
	returns = errors.New(strings.Repeat("界", maxStoredError))
	text := process(t.Context(), m, nil).Error()
	require.LessOrEqual(t, len(text), maxStoredError)
	require.Greater(t, len(text), maxStoredError-8)
	require.True(t, strings.HasSuffix(text, "界…"))
}
