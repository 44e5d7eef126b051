package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Execute runs cmd as the whole program and exits.
//
// The first SIGTERM or SIGINT ends the context of the command, whose cause (context.Cause) then names the signal:
// the command is to finish what it does and return. A second signal exits at once. Exit codes: 0 for success, also
// after a signal; 1 for an error, which is written to standard error, or what its method ExitStatus returns; 128 plus the
// signal's number (130, 143) after a second signal.
func Execute(cmd *cobra.Command) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		received := (<-signals).(syscall.Signal)
		cancel(&SignalError{Signal: received})
		received = (<-signals).(syscall.Signal)
		fmt.Fprintf(os.Stderr, "%s: %s again: stopped without finishing\n", cmd.Name(), signalName(received))
		os.Exit(128 + int(received))
	}()

	err := cmd.ExecuteContext(ctx)
	var stopped *SignalError
	if err != nil && !(errors.As(context.Cause(ctx), &stopped) && onlyCanceled(err)) {
		printError(os.Stderr, cmd.Name(), err)
		os.Exit(exitStatus(err))
	}
	os.Exit(0)
}

// exitStatus is what the error's method of that name returns, or 1.
func exitStatus(err error) int {
	var status interface{ ExitStatus() int }
	if errors.As(err, &status) {
		return status.ExitStatus()
	}
	return 1
}

// SignalError is the cause of a context that a signal has ended. It is a context.Canceled.
type SignalError struct {
	Signal syscall.Signal
}

// Error names the signal.
func (e *SignalError) Error() string { return "received " + signalName(e.Signal) }

// Unwrap makes it a context.Canceled.
func (e *SignalError) Unwrap() error { return context.Canceled }

func signalName(s syscall.Signal) string {
	switch s {
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGINT:
		return "SIGINT"
	default:
		return s.String()
	}
}

// onlyCanceled tells whether err says nothing but that its context was canceled; a joined error does so when all of
// its parts do.
func onlyCanceled(err error) bool {
	if err == context.Canceled {
		return true
	}
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return err.Unwrap() != nil && onlyCanceled(err.Unwrap())
	case interface{ Unwrap() []error }:
		for _, part := range err.Unwrap() {
			if !onlyCanceled(part) {
				return false
			}
		}
		return len(err.Unwrap()) > 0
	default:
		return false
	}
}

// printError writes one line for each line of the error, each with the program's name before it; nothing of an error
// without a text, which has an exit code to tell and no more.
func printError(w io.Writer, program string, err error) {
	if err.Error() == "" {
		return
	}
	for line := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
		fmt.Fprintf(w, "%s: %s\n", program, line)
	}
}
