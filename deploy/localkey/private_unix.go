//go:build unix

package localkey

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// private refuses a file that another user owns, may read, or may write.
func private(info os.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("its mode %04o lets other users in: only 0600 is taken", mode)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Getuid() {
		return errors.New("it belongs to another user")
	}
	return nil
}
