package broker_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
)

func TestOpenWarnsOfEviction(t *testing.T) {
	t.Parallel()
	for policy, warned := range map[string]bool{"allkeys-lru": true, "noeviction": false, "volatile-ttl": false} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			server := testenv.Redis(t, testenv.WithArgs("--maxmemory-policy", policy))
			var log bytes.Buffer
			b, err := broker.Open(t.Context(), server.URL(0), broker.Options{
				Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
			})
			require.NoError(t, err)
			require.NoError(t, b.Close())
			require.Equal(t, warned, bytes.Contains(log.Bytes(), []byte("noeviction")), log.String())
		})
	}
}
