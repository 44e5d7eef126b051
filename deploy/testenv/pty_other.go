//go:build !linux

package testenv

import (
	"os"
	"testing"
)

// Pty skips the test.
func Pty(t *testing.T, _, _ int) (ours, programs *os.File) {
	t.Helper()
	t.Skip("terminals of tests are Linux's")
	return nil, nil
}

// ResizePty is of no use without Pty.
func ResizePty(*testing.T, *os.File, int, int) {}

// PtyModes is of no use without Pty.
func PtyModes(*testing.T, *os.File) any { return nil }
