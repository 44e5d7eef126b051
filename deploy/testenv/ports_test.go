package testenv

import (
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestProcessesShareNoPorts has two, each of which takes several blocks.
func TestProcessesShareNoPorts(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	processes := []*portBlocks{{folder: folder}, {folder: folder}}
	seen := make(map[int]bool)
	for range 3*blockPorts + 1 {
		for i := range processes {
			port, err := processes[i].take()
			require.NoError(t, err)
			require.False(t, seen[port], "%d is given twice", port)
			require.True(t, lowPort <= port && port < highPort, "%d", port)
			seen[port] = true
		}
	}
	for i := range processes {
		require.Len(t, processes[i].locks, 4)
	}
	for range highPort - lowPort { // more than there are
		port, err := processes[0].take()
		require.NoError(t, err)
		require.True(t, lowPort <= port && port < highPort, "%d", port)
	}
	for i := range processes {
		for _, lock := range processes[i].locks {
			require.NoError(t, lock.Close())
		}
	}
}

func TestFreePort(t *testing.T) {
	t.Parallel()
	port := FreePort(t)
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	require.NoError(t, err)
	require.NoError(t, ln.Close())
}
