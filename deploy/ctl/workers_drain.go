package ctl

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

func (e environment) workerDrain() *cobra.Command {
	var answer, patience time.Duration
	var host string
	var wait bool
	cmd := &cobra.Command{
		Use:   "drain NAME... | --host HOST",
		Short: "Have workers begin nothing more, finish what runs, and end",
		Long: "Have workers begin nothing more, finish what runs, for as long as it may take, and end their processes with exit code 0.\n" +
			"This can't be taken back: it shows them and asks first.",
		Example: `  PROGRAM ctl workers drain worker-1
  PROGRAM ctl workers drain --host vm-3 --wait --yes && ssh vm-3 reboot`,
		ValidArgsFunction: e.complete("/v1/workers", "workers", 0, true),
	}
	cmd.Flags().StringVar(&host, "host", "", "all workers of the `host`")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until they have ended")
	cmd.Flags().DurationVar(&patience, "wait-at-most", 0, "with --wait, for how long at most; 0 is without end")
	commandFlags(cmd, &answer)
	yesFlag(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		if (len(args) == 0) == (host == "") {
			return remote.UsageErrorf("name workers, or their --host, and not both")
		}
		targets, err := s.drainTargets(ctx, args, host)
		if err != nil {
			return err
		}
		return s.drain(ctx, targets, answer, wait, patience)
	})
	return cmd
}

// drainTargets are the workers of the names, or of the host.
func (s *session) drainTargets(ctx context.Context, names []string, host string) (targets []remote.Worker, err error) {
	for _, name := range names {
		var w remote.Worker
		if err := s.api.Get(ctx, remote.Path("v1", "workers", name), nil, &w); err != nil {
			return nil, fmt.Errorf("%s: %w", show.Line(name), err)
		}
		targets = append(targets, w)
	}
	if host == "" {
		return targets, nil
	}
	all, err := s.allWorkers(ctx)
	if err != nil {
		return nil, err
	}
	for _, w := range all {
		if w.Host == host {
			targets = append(targets, w)
		}
	}
	if len(targets) == 0 {
		return nil, failed(remote.ExitNotFound, "no worker is up on host %s", show.Line(host))
	}
	return targets, nil
}

// allWorkers are those that live, whatever --json says.
func (s *session) allWorkers(ctx context.Context) ([]remote.Worker, error) {
	quiet := *s
	quiet.json = false
	rows, _, err := gather[remote.Worker](ctx, &quiet, "/v1/workers", "workers", nil, paging{limit: 1, all: true}, 100)
	return rows, err
}

func (s *session) drain(ctx context.Context, targets []remote.Worker, answer time.Duration, wait bool, patience time.Duration) error {
	if !s.yes {
		for _, w := range targets {
			s.note("%s on %s: %d running, slots %d", show.Line(w.Name), show.Line(w.Host), w.Running, w.Slots)
		}
	}
	question := fmt.Sprintf("Drain %d workers? They end when nothing runs any more.", len(targets))
	if len(targets) == 1 {
		question = fmt.Sprintf("Drain worker %s? It ends when nothing runs any more.", show.Line(targets[0].Name))
	}
	if err := s.confirm(ctx, question); err != nil {
		return err
	}
	ids := make([]string, len(targets))
	for i, w := range targets {
		ids[i] = w.ID
	}
	err := s.each(ctx, ids, func(id string) error {
		w, a, err := s.command(ctx, id, "drain", answer, nil)
		if err != nil || s.json {
			return err
		}
		return s.say("%s: %s (%d running)", show.Line(w.Name), show.Line(a.Msg), w.Running)
	})
	if err != nil || !wait {
		return err
	}
	return s.awaitGone(ctx, ids, patience)
}

// awaitGone waits until the workers are not there any more.
func (s *session) awaitGone(ctx context.Context, ids []string, patience time.Duration) error {
	if patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	bar := show.NewProgress(s.Terminal, "draining", int64(len(ids)), s.now())
	defer bar.End()
	for {
		left, running := 0, 0
		var err error
		for _, id := range ids {
			var w remote.Worker
			switch got := s.api.Get(ctx, remote.Path("v1", "workers", id), nil, &w); {
			case got == nil:
				left, running = left+1, running+w.Running
			case !remote.IsStatus(got, http.StatusNotFound):
				err = got
			}
		}
		switch {
		case ctx.Err() == context.DeadlineExceeded:
			bar.End()
			return failed(remote.ExitFailed, "%d workers have not ended within %s; they go on draining", max(left, 1), patience)
		case ctx.Err() != nil:
			bar.End()
			return failed(remote.ExitInterrupted, "the workers go on draining")
		case err != nil && !remote.Temporary(err):
			return err
		case err == nil && left == 0:
			bar.End()
			if s.json {
				return nil
			}
			return s.say("all have ended")
		case err == nil:
			bar.Set(int64(len(ids)-left), fmt.Sprintf("%d running", running), s.now())
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}
