package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
)

// noopCommand is a worker process of no-op tasks. It says "ready" when it is connected, begins with the first line
// that it reads, and from then on writes how many tasks it has run.
func noopCommand() *cobra.Command {
	var url, logLevel string
	cmd := &cobra.Command{Use: roleNoop, Args: cobra.NoArgs}
	cmd.Flags().StringVar(&url, "redis", "", "the broker's URL")
	cmd.Flags().StringVar(&logLevel, "log-level", "warn", "least level that is logged")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return runNoops(cmd.Context(), url, logLevel, cmd.InOrStdin(), cmd.OutOrStdout())
	}
	return cmd
}

func runNoops(ctx context.Context, url, logLevel string, in io.Reader, out io.Writer) (err error) {
	p, err := newPaidui(ctx, url, logLevel, withoutResult)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return err
	}
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	var ran atomic.Int64
	stop, err := p.serve(func(int) { ran.Add(1) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if _, err := fmt.Fprintln(out, ran.Load()); err != nil {
				return err
			}
		}
	}
}

// noopWorker is such a process.
type noopWorker struct {
	*child
	in    io.WriteCloser
	out   *bufio.Scanner
	count atomic.Int64 // tasks it has run
}

// startNoop starts one and waits until it is ready.
func (l *lab) startNoop(db int) (*noopWorker, error) {
	w := &noopWorker{}
	var err error
	w.child, err = l.start(roleNoop, []string{"--redis", l.redisURL(db), "--log-level", l.logLevel}, nil, func(cmd *exec.Cmd) error {
		if w.in, err = cmd.StdinPipe(); err != nil {
			return err
		}
		out, err := cmd.StdoutPipe()
		w.out = bufio.NewScanner(out)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !w.out.Scan() || w.out.Text() != "ready" {
		return nil, fmt.Errorf("the no-op worker is not ready: %q %v", w.out.Text(), w.out.Err())
	}
	return w, nil
}

// begin lets it run, and follows its count until it ends.
func (w *noopWorker) begin() error {
	if _, err := io.WriteString(w.in, "go\n"); err != nil {
		return fmt.Errorf("start the no-op worker: %w", err)
	}
	go func() {
		for w.out.Scan() {
			if n, err := strconv.ParseInt(w.out.Text(), 10, 64); err == nil {
				w.count.Store(n)
			}
		}
	}()
	return nil
}
