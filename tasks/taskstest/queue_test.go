package taskstest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

type mail struct {
	To string `json:"to"`
}

var (
	welcome = tasks.Define[mail, string]("test.welcome")
	remind  = tasks.Define[mail, string]("test.remind", tasks.Queue("low"), tasks.MaxRetries(2), tasks.Backoff(time.Minute, time.Hour), tasks.Jitter(false))
)

// bind makes welcome enqueue remind, a day later, whose first attempts fail as often as told.
func bind(sent *[]string, fails int) func(*tasks.Mux, *tasks.Client) {
	return func(m *tasks.Mux, c *tasks.Client) {
		tasks.Handle(m, welcome, func(ctx context.Context, a mail) (string, error) {
			*sent = append(*sent, "welcome "+a.To)
			_, err := remind.Enqueue(ctx, c, a, tasks.Countdown(24*time.Hour), tasks.Tags("mail"))
			return "sent", err
		})
		tasks.Handle(m, remind, func(_ context.Context, a mail) (string, error) {
			if fails > 0 {
				fails--
				return "", errors.New("no connection")
			}
			*sent = append(*sent, "remind "+a.To)
			return "sent", nil
		})
	}
}

func TestInlineWithAClock(t *testing.T) {
	t.Parallel()
	var sent []string
	q := taskstest.New(t, taskstest.Config{Bind: bind(&sent, 2)})
	res, err := welcome.Enqueue(t.Context(), q.Client, mail{To: "li"})
	require.NoError(t, err)
	result, err := res.Peek(t.Context())
	require.NoError(t, err, "it ran inline")
	require.Equal(t, "sent", result)
	require.Equal(t, []string{"welcome li"}, sent)

	taskstest.AssertEnqueued(t, q, remind, mail{To: "li"})
	reminders := taskstest.Enqueued(q, remind)
	require.Equal(t, "low", reminders[0].Queue)
	require.Equal(t, []string{"mail"}, reminders[0].Tags)
	require.Equal(t, q.Clock.Now().Add(24*time.Hour), reminders[0].ETA)

	q.Advance(24*time.Hour - time.Second)
	require.Len(t, sent, 1, "not yet")
	state, err := remind.Result(q.Client, reminders[0].ID).State(t.Context())
	require.NoError(t, err)
	require.Equal(t, tasks.StatePending, state)
	q.Advance(time.Second + 3*time.Minute - time.Second) // retries after one minute, and two more
	require.Len(t, sent, 1)
	q.Advance(time.Second)
	require.Equal(t, []string{"welcome li", "remind li"}, sent)
}

// TestOnlyNoted: without handlers nothing runs.
func TestOnlyNoted(t *testing.T) {
	t.Parallel()
	q := taskstest.New(t, taskstest.Config{})
	taskstest.AssertEnqueued(t, q, welcome)
	res, err := welcome.Enqueue(t.Context(), q.Client, mail{To: "li"}, tasks.Priority(tasks.High))
	require.NoError(t, err)
	for _, e := range tasks.EnqueueMany(t.Context(), q.Client, []tasks.Signature{
		welcome.Signature(mail{To: "wang"}), remind.Signature(mail{To: "zhao"}),
	}) {
		require.NoError(t, e.Err)
	}
	taskstest.AssertEnqueued(t, q, welcome, mail{To: "li"}, mail{To: "wang"})
	taskstest.AssertEnqueued(t, q, remind, mail{To: "zhao"})
	q.Advance(time.Hour)
	state, err := res.State(t.Context())
	require.NoError(t, err)
	require.Equal(t, tasks.StatePending, state)
}

// TestPeriodsGoByTheClock: of uniqueness, throttles, windows and expiry.
func TestPeriodsGoByTheClock(t *testing.T) {
	t.Parallel()
	var sent []string
	q := taskstest.New(t, taskstest.Config{Bind: bind(&sent, 0)})
	call := func(to string, opts ...tasks.Option) error {
		_, err := remind.Enqueue(t.Context(), q.Client, mail{To: to}, opts...)
		return err
	}
	require.NoError(t, call("throttled", tasks.Throttle(time.Hour)))
	require.ErrorIs(t, call("throttled", tasks.Throttle(time.Hour)), tasks.ErrDuplicate)
	q.Advance(time.Hour)
	require.NoError(t, call("throttled", tasks.Throttle(time.Hour)))
	require.Equal(t, []string{"remind throttled", "remind throttled"}, sent)

	sent = nil
	for _, to := range []string{"first", "second", "last"} {
		require.NoError(t, call(to, tasks.Debounce(time.Minute)))
		q.Advance(10 * time.Second)
	}
	require.Empty(t, sent)
	q.Advance(30 * time.Second)
	require.Equal(t, []string{"remind last"}, sent)

	sent = nil
	require.NoError(t, call("in time", tasks.Countdown(time.Hour), tasks.ExpiresIn(time.Minute)))
	q.Advance(2 * time.Hour)
	require.Equal(t, []string{"remind in time"}, sent, "it ran at its time")
}
