package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAttemptIsRecorded(t *testing.T) {
	t.Parallel()
	d := newFake()
	m := fakeMux(d, MuxOptions{})
	job(t, m, func(context.Context) (string, error) { return "yes", nil })
	require.NoError(t, process(t.Context(), m, nil))
	a := d.lastAttempt(t)
	ended, err := time.Parse(time.RFC3339, a["ended_at"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), ended, time.Minute)
	delete(a, "ended_at")
	require.Equal(t, map[string]any{
		"number": 1.0, "worker": "worker-1", "started_at": "2023-11-14T22:13:20.123Z", "outcome": "success", "error": "",
	}, a)
}

func TestNothingIsRecordedOfATaskThatIsNotKept(t *testing.T) {
	t.Parallel()
	d := newFake()
	m := fakeMux(d, MuxOptions{})
	job(t, m, func(context.Context) (string, error) { return "yes", nil })
	require.NoError(t, process(t.Context(), m, map[string]string{headerNoResult: "1"}))
	require.Empty(t, d.attempts)
}

// Whatever an error says, the record is one line of JSON that says the same.
func TestRecordsAreJSON(t *testing.T) {
	t.Parallel()
	m := fakeMux(newFake(), MuxOptions{})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "error")
		number := rapid.IntRange(1, 10_001).Draw(t, "number")
		at := time.UnixMilli(rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "at"))
		a := m.newAttempt(context.Background(), asynq.NewTask("test.job", nil))
		a.Attempt = number
		raw := a.appendLog(nil, verdict{outcome: failed, err: errors.New(text)}, at)
		require.NotContains(t, string(raw), "\n")
		var got struct {
			Number    int       `json:"number"`
			Worker    string    `json:"worker"`
			StartedAt time.Time `json:"started_at"`
			EndedAt   time.Time `json:"ended_at"`
			Outcome   string    `json:"outcome"`
			Error     string    `json:"error"`
		}
		require.NoError(t, json.Unmarshal(raw, &got), string(raw))
		require.Equal(t, number, got.Number)
		require.True(t, at.Equal(got.EndedAt))
		require.Equal(t, shorten(strings.ToValidUTF8(text, "\uFFFD"), maxErrorText), got.Error)
	})
}

func TestShorten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		limit := rapid.IntRange(3, 40).Draw(t, "limit")
		short := shorten(text, limit)
		require.LessOrEqual(t, len(short), limit)
		require.True(t, utf8.ValidString(short))
		if len(text) <= limit {
			require.Equal(t, text, short)
		} else {
			require.True(t, strings.HasPrefix(text, strings.TrimSuffix(short, "…")))
		}
	})
}

func TestWhatTheHistoryIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers map[string]string
		returns error
		want    []Record
	}{
		"success": {nil, nil, []Record{{State: StateSuccess, Args: []byte(`{}`), Result: []byte(`"yes"`)}}},
		"failure": {nil, errors.New("no"), []Record{{State: StateFailure, Args: []byte(`{}`), Error: "no"}}},
		"snooze":  {nil, Snooze(time.Hour), []Record{{State: StateRetry, Args: []byte(`{}`)}}},
		"meta":    {map[string]string{headerHistory: "meta"}, nil, []Record{{State: StateSuccess}}},
		"off":     {map[string]string{headerHistory: "off"}, nil, nil},
		"expired": {map[string]string{headerExpires: "1000"}, nil, []Record{{
			State: StateRevoked, Args: []byte(`{}`), Error: "expired at 1970-01-01T00:00:01Z",
		}}},
		"again by hand": {map[string]string{headerRun: "3", headerRequestID: "r", headerTags: "a b"}, nil, []Record{{
			State: StateSuccess, Args: []byte(`{}`), Result: []byte(`"yes"`), Run: 3, RequestID: "r", Tags: []string{"a", "b"},
		}}},
	} {
		history := &fakeHistory{}
		m := fakeMux(newFake(), MuxOptions{History: history})
		job(t, m, func(context.Context) (string, error) { return "yes", c.returns })
		_ = process(t.Context(), m, c.headers)
		for i := range history.records {
			got := &history.records[i]
			require.Equal(t, got.State.Final(), !got.EndedAt.IsZero(), name)
			require.Equal(t, c.headers[headerExpires] == "", !got.StartedAt.IsZero(), name)
			got.StartedAt, got.EndedAt = time.Time{}, time.Time{}
		}
		for i := range c.want {
			c.want[i].Task, c.want[i].Worker, c.want[i].Attempt = "test.job", "worker-1", 1
			c.want[i].Run = max(c.want[i].Run, 1)
		}
		require.Equal(t, c.want, history.records, name)
	}
}
