package pool

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAsynqDoesNotRepeatTheTasksLog with what asynq v0.26 says of a failure and of a revocation.
func TestAsynqDoesNotRepeatTheTasksLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := asynqLogger{slog.New(slog.NewTextHandler(&out, nil))}
	l.Warn("Retry exhausted for task id=a")
	l.Warn("revoke task id=a")
	require.Empty(t, out.String())
	l.Warn("recoverer: could not retry lease expired task: ", "x")
	require.Contains(t, out.String(), "could not retry")
}
