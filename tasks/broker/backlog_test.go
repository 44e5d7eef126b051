package broker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
)

func TestPrioritized(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		n, since, err := b.Prioritized(t.Context(), "q")
		require.NoError(t, err)
		require.Zero(t, n)
		require.Zero(t, since)

		begun := time.Now()
		enqueue(t, b, message("q", "normal"), withPriority(message("q", "low"), broker.Low))
		after := time.Now()
		enqueue(t, b, withPriority(message("q", "high"), broker.High), withPriority(message("q", "second"), broker.High))
		n, since, err = b.Prioritized(t.Context(), "q")
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.WithinRange(t, since, begun, after, "the low one waits longest")
	})
}
