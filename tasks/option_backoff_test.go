package tasks

import (
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBackoffDoublesUpToItsCap(t *testing.T) {
	exact := backoff{base: 100 * time.Millisecond, limit: time.Second, exact: true}
	for n, want := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
		require.Equal(t, want*time.Millisecond, exact.delay(n))
	}
	require.Equal(t, time.Second, exact.delay(1_000_000))
	require.Zero(t, backoff{}.delay(5), "at once")
}

func TestBackoffJitterIsFull(t *testing.T) {
	b := backoff{base: time.Second, limit: time.Minute}
	low, high := time.Hour, time.Duration(0)
	for range 2000 {
		d := b.delay(3)
		low, high = min(low, d), max(high, d)
	}
	require.GreaterOrEqual(t, low, time.Duration(0))
	require.Less(t, low, time.Second, "of 0 to 8 s")
	require.LessOrEqual(t, high, 8*time.Second)
	require.Greater(t, high, 7*time.Second)
}

func TestBackoffTravels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.Int64Range(0, int64(MaxTimeout/time.Millisecond)).Draw(t, "base")) * time.Millisecond
		limit := time.Duration(rapid.Int64Range(int64(base/time.Millisecond), int64(MaxTimeout/time.Millisecond)).Draw(t, "limit")) * time.Millisecond
		b := backoff{base: base, limit: limit, exact: rapid.Bool().Draw(t, "exact")}
		parsed, err := parseBackoff(b.String())
		if err != nil || parsed != b {
			t.Fatalf("%v came back as %v: %v", b, parsed, err)
		}
	})
}

// TestRetriesAreNeverEarly: asynq keeps whole seconds, rounded down.
func TestRetriesAreNeverEarly(t *testing.T) {
	slow := backoff{base: 1500 * time.Millisecond, limit: time.Minute, exact: true}
	task := asynq.NewTaskWithHeaders("t", nil, map[string]string{headerBackoff: slow.String()})
	for range 1000 {
		before := time.Now()
		delay := NewMux(MuxOptions{}).retryDelay(0, ErrNotReady, task)
		stored := time.Now().Add(delay).Truncate(time.Second) // as asynq does
		require.GreaterOrEqual(t, stored.Sub(before), 1500*time.Millisecond)
		require.LessOrEqual(t, time.Until(stored), 2500*time.Millisecond)
	}
	require.Zero(t, NewMux(MuxOptions{}).retryDelay(3, asynq.ErrLeaseExpired, task))
	require.False(t, countsAsFailure(asynq.ErrLeaseExpired), "the death of a worker costs no retry")
	require.True(t, countsAsFailure(ErrNotReady))
}

func FuzzParseHeaders(f *testing.F) {
	f.Add("1", "2", "1000,2000,true")
	f.Fuzz(func(t *testing.T, eta, timeout, b string) {
		h := parseHeaders(map[string]string{headerETA: eta, headerTimeout: timeout, headerBackoff: b})
		if h.timeout <= 0 || h.backoff.delay(2) < 0 {
			t.Fatalf("%+v", h)
		}
	})
}
