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

func (e environment) ping() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "ping", Short: "Ask all workers for a sign of life; exit 1 if one gives none", Args: usage(cobra.NoArgs),
	}
	cmd.Flags().DurationVar(&wait, "answer-within", time.Second, "how long workers may take to answer, up to 30s")
	watchFlag(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, _ []string) error {
		if wait <= 0 || wait > 30*time.Second {
			return remote.UsageErrorf("--answer-within: %s is not between 0 and 30s", wait)
		}
		silent := 0
		err := s.repeat(ctx, func(ctx context.Context, s *session) (err error) {
			silent, err = s.ping(ctx, wait)
			return err
		})
		if err == nil && silent > 0 {
			return failed(remote.ExitFailed, "%d workers gave no answer", silent)
		}
		return err
	})
	return cmd
}

func (s *session) ping(ctx context.Context, wait time.Duration) (silent int, err error) {
	a, err := s.request(ctx, remote.Request{
		Method: http.MethodPost, Path: "/v1/workers/ping", Query: values("wait", wait.String()), Timeout: wait + standardPatience,
	})
	if err != nil {
		return 0, err
	}
	var answer struct {
		Workers []remote.Ping `json:"workers"`
	}
	if err := a.Decode(&answer); err != nil {
		return 0, err
	}
	t := show.Table{Columns: []show.Column{{Name: "WORKER", Least: 10}, {Name: "ROUND TRIP", Right: true}, {Name: "ID", Least: 12}, {Name: "ERROR", Least: 12}}}
	for _, w := range answer.Workers {
		took := "-"
		if w.RoundTrip != nil {
			took = fmt.Sprintf("%.1f ms", *w.RoundTrip)
		} else {
			silent++
		}
		t.Add(w.Name, took, w.ID, show.Cell{Text: w.Error, Tone: show.Bad})
	}
	if s.none("worker is up", len(answer.Workers), "") {
		return silent, nil
	}
	return silent, s.table(&t)
}
