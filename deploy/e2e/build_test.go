package e2e

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// build compiles the four programs, with the first call in this test process, into a folder that goes with it.
func build(t *testing.T) (dir string) {
	t.Helper()
	b, err := buildOnce()
	require.NoError(t, err)
	return b.Dir
}

var buildOnce = sync.OnceValues(func() (testenv.Binaries, error) {
	return testenv.Build(filepath.Join("..", ".."), raceEnabled)
})
