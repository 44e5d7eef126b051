package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks/taskstest"
)

var epoch = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func pause(n int) Act {
	return Act{
		At: epoch.Add(time.Duration(n) * time.Second), Who: "alice", Role: "operator", What: "POST /v1/queues/:name/pause", Subject: "default",
		RequestID: fmt.Sprint("request-", n), Address: "192.0.2.1",
	}
}

func TestAnActIsWrittenBeforeItIsDoneAndAfterwards(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		l, _ := logged(db)
		a := pause(1)
		l.Begin(t.Context(), &a)
		want := pause(1)
		want.ID = a.ID
		require.Positive(t, a.ID)
		require.Equal(t, []Act{want}, all(t, l, Query{}), "as it stays when the program dies now")
		require.Equal(t, Begun, a.Outcome())

		a.Status, a.Code, a.TaskID, a.Message, a.Took = 200, 100, "default_1", "", 1500*time.Microsecond
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		l.End(ended, &a)
		require.Equal(t, []Act{a}, all(t, l, Query{}), "also when its client is gone")
		require.Equal(t, Done, a.Outcome())
		for status, want := range map[int]Outcome{401: Refused, 403: Refused, 400: Failed, 503: Failed, 204: Done} {
			require.Equal(t, want, (&Act{Status: status}).Outcome())
		}
	})
}

// TestWhatIsAddedIsWrittenSoon, what is left at the end of Run included, and whatever the texts are.
func TestWhatIsAddedIsWrittenSoon(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		l, buffer := logged(db)
		const acts = 2*batchRows + 7
		for i := range acts {
			a := pause(i)
			a.Status = 403
			a.Subject, a.Who, a.RequestID = strings.Repeat("排", 300), "\xff\x00eve", strings.Repeat("x", 200)
			l.Add(t.Context(), a)
		}
		stopped, stop := context.WithCancel(t.Context())
		stop()
		require.NoError(t, l.Run(stopped))
		require.Empty(t, buffer.String())
		found := all(t, l, Query{Limit: MaxLimit})
		require.Len(t, found, acts)
		require.Equal(t, strings.Repeat("排", maxSubject), found[0].Subject)
		require.Equal(t, "\uFFFD\x00eve", found[0].Who)

		running, _ := running(t, db)
		running.Add(t.Context(), pause(acts))
		require.Eventually(t, func() bool { return len(all(t, running, Query{Limit: MaxLimit})) == acts+1 }, patience, 10*time.Millisecond)
	})
}

// TestWithoutADatabaseActsAreInTheLog, each once, with all that is known.
func TestWithoutADatabaseActsAreInTheLog(t *testing.T) {
	t.Parallel()
	l, buffer := running(t, nil)
	require.False(t, l.Kept())
	a := pause(1)
	l.Begin(t.Context(), &a)
	require.Empty(t, buffer.String())
	a.Status, a.Code = 200, 100
	l.End(t.Context(), &a)
	line := buffer.String()
	for _, want := range []string{
		"level=INFO", "who=alice", "role=operator", `what="POST /v1/queues/:name/pause"`, "subject=default", "request_id=request-1",
		"ip=192.0.2.1", "outcome=done", "status=200", "code=100",
	} {
		require.Contains(t, line, want)
	}
	_, err := l.Search(t.Context(), Query{})
	require.ErrorIs(t, err, ErrNotKept)
}

// TestAnActGoesOnWhileTheDatabaseIsAway, is then in the log, and in the table again afterwards.
func TestAnActGoesOnWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	databaseURL := testenv.MySQL(t)
	direct := open(t, databaseURL)
	require.NoError(t, models.Migrate(t.Context(), direct))
	db, proxy := through(t, databaseURL)
	buffer := &testenv.LogBuffer{}
	l := New(db, slog.New(slog.NewTextHandler(buffer, nil)))
	taskstest.Run(t, l.Run)
	proxy.Away(true)
	a := pause(1)
	l.Begin(t.Context(), &a)
	require.Contains(t, buffer.String(), "level=WARN")
	require.Contains(t, buffer.String(), "outcome=begun")
	require.Contains(t, buffer.String(), "request_id=request-1")
	a.Status, a.Code = 200, 100
	l.End(t.Context(), &a)
	require.Eventually(t, func() bool { return strings.Contains(buffer.String(), "outcome=done") }, patience, 10*time.Millisecond)

	proxy.Away(false)
	require.Eventually(t, func() bool {
		b := pause(2)
		l.Begin(t.Context(), &b)
		return b.ID != 0
	}, patience, 10*time.Millisecond)

	var c Act
	require.Eventually(t, func() bool {
		c = pause(3)
		l.Begin(t.Context(), &c)
		return c.ID != 0
	}, patience, 10*time.Millisecond)
	proxy.Away(true)
	c.Status, c.Code = 503, 503
	l.End(t.Context(), &c)
	require.Contains(t, buffer.String(), "outcome=failed")
	proxy.Away(false)
	found, err := New(direct, testenv.Quiet()).Search(t.Context(), Query{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, []any{"request-3", Begun}, []any{found.Acts[0].RequestID, found.Acts[0].Outcome()}, "what came of it is not known there")
}

func TestMoreThanWaitMayAreInTheLog(t *testing.T) {
	t.Parallel()
	db := open(t, "sqlite://:memory:")
	l, buffer := logged(db)
	for i := range queueRows {
		l.Add(t.Context(), pause(i))
	}
	require.Empty(t, buffer.String())
	now := time.Now()
	l.Add(t.Context(), pause(queueRows))
	require.Contains(t, buffer.String(), "too many acts wait to be written; 0 were left out here")
	require.Contains(t, buffer.String(), fmt.Sprint("request_id=request-", queueRows))
	for range 2 * overflows {
		a := pause(1)
		l.overflow(t.Context(), &a, now.Add(time.Hour))
	}
	require.Equal(t, 1+overflows, strings.Count(buffer.String(), "\n"))
	a := pause(2)
	l.overflow(t.Context(), &a, now.Add(2*time.Hour))
	require.Contains(t, buffer.String(), fmt.Sprintf("%d were left out here", overflows))
}

func TestARowThatIsRefusedKeepsNoOtherBack(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Callback().Create().Before("gorm:create").Register("refuse", func(tx *gorm.DB) {
			rows, _ := tx.Statement.Dest.([]*models.AuditRecord)
			for _, r := range rows {
				if r.RequestID == "request-1" {
					_ = tx.AddError(errors.New("this row is refused"))
				}
			}
		}))
		l, buffer := logged(db)
		for i := range 3 {
			l.Add(t.Context(), pause(i))
		}
		stopped, stop := context.WithCancel(t.Context())
		stop()
		require.NoError(t, l.Run(stopped))
		require.Len(t, all(t, l, Query{}), 2)
		require.Equal(t, 1, strings.Count(buffer.String(), "an act is not in the audit log"))
		require.Contains(t, buffer.String(), "request_id=request-1")
	})
}
