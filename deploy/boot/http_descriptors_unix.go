//go:build unix

package boot

import (
	"math"
	"syscall"
)

// Descriptors is how many files and connections this process may have open at once, 0 for no bound. Go has raised its soft
// limit to the hard one before main.
func Descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	if most := uint64(limit.Cur); most < math.MaxInt32 {
		return int(most)
	}
	return 0
}
