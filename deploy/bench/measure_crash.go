package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
	"github.com/spf13/cobra"
)

// measureCrash kills the worker process that runs a task, and takes the time until the task begins in another, which was
// there before.
func measureCrash(ctx context.Context, l *lab) ([]measurement, error) {
	ours, err := l.crashes(ctx, openPaidui, brokerDB, false, l.pick(20, 3))
	if err != nil {
		return nil, err
	}
	theirs, err := l.crashes(ctx, openPlain, plainDB, true, l.pick(2, 1))
	if err != nil {
		return nil, err
	}
	return []measurement{{median(ours), median(theirs)}, {slices.Max(ours), slices.Max(theirs)}}, nil
}

// crashPatience is how long a task may take to begin again. asynq's takes some minutes.
const crashPatience = 6 * time.Minute

// crashes are times in seconds.
func (l *lab) crashes(ctx context.Context, open opener, db int, plain bool, n int) (took []float64, err error) {
	if err := l.flush(ctx); err != nil {
		return nil, err
	}
	q, err := open(ctx, l, db, withoutResult)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	defer l.endRow()
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(n)*crashPatience, errors.New("a task of a killed worker did not begin again"))
	defer cancel()
	begun := make(chan began, 16)
	if _, err := l.startCrash(db, plain, begun); err != nil {
		return nil, err
	}
	for i := range n {
		if _, err := l.startCrash(db, plain, begun); err != nil {
			return nil, err
		}
		// The workers come to rest, and the kill falls into any moment of their beats.
		if err := pause(ctx, 3*time.Second+rand.N(2*time.Second)); err != nil {
			return nil, err
		}
		if err := q.enqueue(ctx, i, time.Time{}); err != nil {
			return nil, err
		}
		first, err := awaitBegin(ctx, begun, i)
		if err != nil {
			return nil, err
		}
		killed := time.Now()
		first.by.process.Stop(syscall.SIGKILL, childPatience)
		second, err := awaitBegin(ctx, begun, i)
		if err != nil {
			return nil, err
		}
		took = append(took, second.at.Sub(killed).Seconds())
		if _, err := io.WriteString(second.by.in, "go on\n"); err != nil {
			return nil, fmt.Errorf("let task %d end: %w", i, err)
		}
	}
	return took, nil
}

// began tells that a task has begun in a worker.
type began struct {
	n  int
	by *crashWorker
	at time.Time
}

func awaitBegin(ctx context.Context, begun <-chan began, n int) (began, error) {
	for {
		select {
		case <-ctx.Done():
			return began{}, context.Cause(ctx)
		case b := <-begun:
			if b.n == n {
				return b, nil
			}
		}
	}
}

// crashWorker is a worker process whose tasks end when they are told to.
type crashWorker struct {
	*child
	in io.Writer
}

func (l *lab) startCrash(db int, plain bool, begun chan<- began) (*crashWorker, error) {
	w := &crashWorker{}
	args := []string{"--redis", l.redisURL(db), "--log-level", "error", "--plain=" + strconv.FormatBool(plain)}
	var out io.Reader
	c, err := l.start(roleCrash, args, nil, func(cmd *exec.Cmd) (err error) {
		if w.in, err = cmd.StdinPipe(); err != nil {
			return err
		}
		out, err = cmd.StdoutPipe()
		return err
	})
	if err != nil {
		return nil, err
	}
	w.child = c
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				begun <- began{n, w, time.Now()}
			}
		}
	}()
	return w, nil
}

// crashCommand is a worker that writes the number of each task that begins. The task goes on until a line is read.
func crashCommand() *cobra.Command {
	var url, logLevel string
	var plainly bool
	cmd := &cobra.Command{Use: roleCrash, Args: cobra.NoArgs}
	cmd.Flags().StringVar(&url, "redis", "", "the broker's URL")
	cmd.Flags().StringVar(&logLevel, "log-level", "warn", "least level that is logged")
	cmd.Flags().BoolVar(&plainly, "plain", false, "asynq alone")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		var q queue
		if plainly {
			redis, err := asynq.ParseRedisURI(url)
			if err != nil {
				return err
			}
			q = &plain{redis: redis, client: asynq.NewClient(redis), inspector: asynq.NewInspector(redis)}
		} else if q, err = newPaidui(cmd.Context(), url, logLevel, withoutResult); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, q.close()) }()
		return runCrash(cmd.Context(), q, cmd.InOrStdin(), cmd.OutOrStdout())
	}
	return cmd
}

func runCrash(ctx context.Context, q queue, in io.Reader, out io.Writer) error {
	var mu sync.Mutex
	gate := make(chan struct{})
	stop, err := q.serve(func(n int) {
		mu.Lock()
		fmt.Fprintln(out, n)
		open := gate
		mu.Unlock()
		select {
		case <-open:
		case <-ctx.Done():
		}
	})
	if err != nil {
		return err
	}
	go func() {
		for lines := bufio.NewScanner(in); lines.Scan(); {
			mu.Lock()
			close(gate)
			gate = make(chan struct{})
			mu.Unlock()
		}
	}()
	<-ctx.Done()
	return stop()
}
