package broker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

func TestPrioritized(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		n, since, err := b.Prioritized(t.Context(), "q")
		require.NoError(t, err)
		require.Zero(t, n)
		require.Zero(t, since)

		begun := time.Now()
		brokertest.Enqueue(t, b, brokertest.Message("q", "normal"), brokertest.WithPriority(brokertest.Message("q", "low"), broker.Low))
		after := time.Now()
		brokertest.Enqueue(t, b, brokertest.WithPriority(brokertest.Message("q", "high"), broker.High), brokertest.WithPriority(brokertest.Message("q", "second"), broker.High))
		n, since, err = b.Prioritized(t.Context(), "q")
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.WithinRange(t, since, begun, after, "the low one waits longest")
	})
}
