package testenv

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Pty opens a terminal: what a program writes to its side can be read from ours, and what is written to ours are keys.
func Pty(t *testing.T, width, height int) (ours, programs *os.File) {
	t.Helper()
	fatal := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatalf("open a terminal: %v", err)
		}
	}
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0) // so that Close ends a Read
	fatal(err)
	ours = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { _ = ours.Close() })
	fatal(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	fatal(err)
	ResizePty(t, ours, width, height)
	programs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	fatal(err)
	t.Cleanup(func() { _ = programs.Close() })
	return ours, programs
}

// ResizePty gives a terminal another size.
func ResizePty(t *testing.T, ours *os.File, width, height int) {
	t.Helper()
	control, err := ours.SyscallConn()
	if err == nil {
		var inner error
		err = control.Control(func(fd uintptr) {
			inner = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(width), Row: uint16(height)})
		})
		if err == nil {
			err = inner
		}
	}
	if err != nil {
		t.Fatalf("resize a terminal: %v", err)
	}
}

// PtyModes are what a terminal does with what is typed.
func PtyModes(t *testing.T, programs *os.File) any {
	t.Helper()
	modes, err := unix.IoctlGetTermios(int(programs.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatalf("the modes of a terminal: %v", err)
	}
	return *modes
}
