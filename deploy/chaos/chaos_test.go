package main

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// TestTwoMinutesOfChaos runs the program as `make chaos` does, with a fixed seed.
func TestTwoMinutesOfChaos(t *testing.T) {
	built, err := testenv.Build(filepath.Join("..", ".."), false)
	require.NoError(t, err)
	defer func() { require.NoError(t, built.Close()) }()
	var out bytes.Buffer
	err = run(t.Context(), newPlan(21, 2*time.Minute), options{bin: built.Dir}, &out)
	t.Logf("%s", out.String())
	require.NoError(t, err)
}
