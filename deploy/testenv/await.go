package testenv

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Patience is how long tests wait for what a healthy system does much earlier: a machine may stand still in between.
const Patience = 2 * time.Minute

// Eventually waits until the condition holds, and fails the test when it does not within Patience. What is what
// require.Eventually takes: a message or a format, and its arguments.
func Eventually(t testing.TB, condition func() bool, what ...any) {
	t.Helper()
	require.Eventually(t, condition, Patience, 5*time.Millisecond, what...)
}

// Soon is a context for what ends within Patience.
func Soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return ctx
}
