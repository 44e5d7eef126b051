package tasks

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/models/away"
)

func TestWhichErrorsAreSnoozedFor(t *testing.T) {
	t.Parallel()
	snooze := SnoozeFor(StoreAway())
	gone := fmt.Errorf("read the order: %w", driver.ErrBadConn)
	for name, c := range map[string]struct {
		err     error
		opts    []Option
		attempt int
		want    outcome
	}{
		"a store":                      {gone, []Option{snooze}, 1, snoozed},
		"a store, no retry left":       {gone, []Option{snooze}, 4, snoozed},
		"a store that is marked":       {fmt.Errorf("y: %w", &away.Error{Err: errBusy}), []Option{snooze}, 4, snoozed},
		"the broker":                   {fmt.Errorf("y: %w", ErrBroker), []Option{snooze}, 4, snoozed},
		"another error":                {errBusy, []Option{snooze}, 1, retrying},
		"another error, none left":     {errBusy, []Option{snooze}, 4, failed},
		"a time limit of its own":      {context.DeadlineExceeded, []Option{snooze}, 4, failed},
		"without the rule":             {gone, nil, 4, failed},
		"against the other rules":      {gone, []Option{snooze, NeverRetryFor(StoreAway())}, 4, snoozed},
		"permanent":                    {Permanent(gone), []Option{snooze}, 1, failed},
		"what the handler asks for":    {RetryIn(time.Second, gone), []Option{snooze}, 1, retrying},
		"what it asks for, none left":  {RetryIn(time.Second, gone), []Option{snooze}, 4, failed},
		"of several matchers, the 2nd": {errBusy, []Option{SnoozeFor(StoreAway(), ErrorIs(errBusy))}, 4, snoozed},
	} {
		require.Equal(t, c.want, judged(t, c.attempt, c.err, c.opts...).outcome, name)
	}
}

// TestPausesOfAnOutage: they grow with the outage, within bounds, and begin anew after it.
func TestPausesOfAnOutage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var o outage
		now := time.Unix(1_700_000_000, 0)
		began, on := now, false
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "later")))
			if rapid.IntRange(0, 4).Draw(t, "over") == 0 {
				lasted := o.over(now)
				require.Equal(t, on, lasted > 0)
				on = false
				continue
			}
			if !on {
				began, on = now, true
			}
			bound := min(max(now.Sub(began)/2, leastPause), mostPause)
			pause := o.pause(now)
			require.Greater(t, pause, bound/2-1)
			require.LessOrEqual(t, pause, bound)
		}
	})
}

func TestWhatAsynqIsToldOfAnOutage(t *testing.T) {
	t.Parallel()
	m := fakeMux(newFake(), MuxOptions{})
	job(t, m, func(context.Context) (string, error) { return "", driver.ErrBadConn }, SnoozeFor(StoreAway()))
	err := m.ProcessTask(t.Context(), asynq.NewTask("test.job", []byte(`{}`)))
	require.False(t, countsAsFailure(err))
	require.Equal(t, driver.ErrBadConn.Error(), err.Error(), "why it waits is to be seen")
	require.ErrorIs(t, err, driver.ErrBadConn)
}

// TestAHookPutsAFailureOff while it cannot find out whether the task has failed.
func TestAHookPutsAFailureOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hook  error
		stays bool
	}{
		"a store is away":    {fmt.Errorf("look: %w", driver.ErrBadConn), false},
		"it asks for it":     {Snooze(time.Second), false},
		"another error":      {errBusy, true},
		"nothing against it": {nil, true},
	} {
		for crashes := range 2 {
			d := newFake()
			d.crashes = 100 * crashes // the second time the handler does not run
			m := fakeMux(d, MuxOptions{})
			definition := Define[noArgs, int]("test.job", MaxRetries(0), SnoozeFor(StoreAway()))
			Handle(m, definition, func(context.Context, noArgs) (int, error) { return 0, Permanent(errBusy) },
				FailureHook(func(context.Context, noArgs, error) error { return c.hook }))
			err := m.ProcessTask(t.Context(), asynq.NewTask("test.job", []byte(`{}`)))
			require.Error(t, err)
			require.Equal(t, c.stays, errors.Is(err, asynq.SkipRetry), name)
			require.Equal(t, c.stays, countsAsFailure(err), name)
		}
	}
}
