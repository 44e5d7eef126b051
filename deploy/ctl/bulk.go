package ctl

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/describe"
	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

// bulkAction is what can be done to all tasks of a search.
type bulkAction struct {
	name, short string
	verb        string // in questions and bars
	to          string // what --to is; "" without
}

var bulkActions = []bulkAction{
	{"retry", "Run all tasks of a search again", "retrying", ""},
	{"revoke", "Revoke all tasks of a search", "revoking", ""},
	{"delete", "Delete all tasks of a search that have ended", "deleting", ""},
	{"priority", "Change the priority of all tasks of a search that wait", "changing the priority of", "the `priority`: high, normal or low"},
}

func (e environment) bulk() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bulk",
		Short: "Do something to all tasks of a search: retry, revoke, delete, priority",
		Long: "Do something to all tasks of a search, with the filters of tasks. It counts them, shows ten, and asks first. It runs on a worker,\n" +
			"so Ctrl-C ends only the looking on: bulk stop ends it.",
		Args: usage(cobra.NoArgs),
		Example: `  PROGRAM ctl bulk retry --state FAILURE --since today --error-group 6f1ed002ab559585
  PROGRAM ctl bulk priority --queue default --to high --dry-run`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, action := range bulkActions {
		cmd.AddCommand(e.bulkAct(action))
	}
	follow := &cobra.Command{
		Use: "follow ID", Short: "Follow a bulk to its end", Args: usage(cobra.ExactArgs(1)),
		RunE: e.run(func(ctx context.Context, s *session, args []string) error {
			return s.followBulk(ctx, args[0], "working", 0)
		}),
	}
	one := &cobra.Command{Use: "show ID", Short: "How far a bulk has come", Args: usage(cobra.ExactArgs(1))}
	watchFlag(one)
	one.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		return s.repeat(ctx, func(ctx context.Context, s *session) error {
			a, err := s.request(ctx, remote.Request{Method: http.MethodGet, Path: remote.Path("v1", "bulk", args[0])})
			if err != nil || s.json {
				return err
			}
			var b remote.Bulk
			if err := a.Decode(&b); err != nil {
				return err
			}
			return s.printBulk(b)
		})
	})
	stop := &cobra.Command{
		Use: "stop ID", Short: "Stop a bulk; what it has done stays done", Args: usage(cobra.ExactArgs(1)),
		RunE: e.run(func(ctx context.Context, s *session, args []string) error {
			a, err := s.request(ctx, remote.Request{Method: http.MethodDelete, Path: remote.Path("v1", "bulk", args[0])})
			if err != nil || s.json {
				return err
			}
			return s.say("%s: %s", show.Line(args[0]), show.Line(a.Msg))
		}),
	}
	cmd.AddCommand(follow, one, stop)
	return cmd
}

func (e environment) bulkAct(action bulkAction) *cobra.Command {
	var f remote.Filter
	var to string
	var dry, leave, terminate bool
	cmd := &cobra.Command{Use: action.name, Short: action.short, Args: usage(cobra.NoArgs)}
	filterFlags(cmd, &f)
	cmd.Flags().BoolVar(&f.All, "all", false, "all tasks there are, without any filter")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only count, and show ten")
	cmd.Flags().BoolVar(&leave, "no-wait", false, "print its id and do not follow it")
	yesFlag(cmd)
	if action.name == "revoke" {
		cmd.Flags().BoolVar(&terminate, "terminate", false, "end those that run, too")
	}
	if action.to != "" {
		cmd.Flags().StringVar(&to, "to", "", action.to+" that they get")
	}
	cmd.RunE = e.run(func(ctx context.Context, s *session, _ []string) error {
		filter, err := settle(f, s.now())
		if err != nil {
			return err
		}
		if filter == (remote.Filter{}) {
			return remote.UsageErrorf("name at least one filter, as --state FAILURE, or --all for all tasks there are")
		}
		r := remote.BulkRequest{Filter: filter, Action: action.name, Terminate: terminate}
		if action.name == "priority" {
			r.Priority = to
		}
		if action.to != "" && to == "" {
			return remote.UsageErrorf("--to: name %s that they get", strings.ReplaceAll(action.to, "`", ""))
		}
		return s.bulk(ctx, action, r, dry, leave)
	})
	return cmd
}

func (s *session) bulk(ctx context.Context, action bulkAction, r remote.BulkRequest, dry, leave bool) error {
	r.DryRun = true
	a, err := s.api.Do(ctx, remote.Request{Method: http.MethodPost, Path: "/v1/bulk", Body: r, Timeout: manyTimeout})
	if err = s.sinceVersion(err, "bulk"); err != nil {
		return err
	}
	if dry && s.json {
		return s.printJSON(a.Data)
	}
	var first remote.DryRun
	if err := a.Decode(&first); err != nil {
		return err
	}
	matched := show.Count(first.Matched)
	if first.More {
		matched = "more than " + matched
	}
	if first.Matched == 0 && !first.More {
		if s.json {
			return s.printJSON(a.Data)
		}
		return s.say("no task matches: there is nothing to do")
	}
	if dry || !s.yes {
		// The examples are what is asked for in a dry run, and else what the question is about.
		shown := *s
		if !dry {
			shown.Terminal.Out, shown.json = s.Err, false
		}
		if err := shown.table(describe.Tasks(first.Examples, s.now())); err != nil {
			return err
		}
	}
	if dry {
		return s.say("would %s %s tasks; these are the first %d", action.name, matched, len(first.Examples))
	}
	if err := s.confirm(ctx, fmt.Sprintf("%s%s %s tasks?", strings.ToUpper(action.verb[:1]), action.verb[1:], matched)); err != nil {
		return err
	}
	r.DryRun = false
	a, err = s.api.Do(ctx, remote.Request{Method: http.MethodPost, Path: "/v1/bulk", Body: r})
	if err != nil {
		return err
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := a.Decode(&made); err != nil {
		return err
	}
	if leave {
		if s.json {
			return s.printJSON(a.Data)
		}
		return s.say("%s", show.Line(made.ID))
	}
	total := first.Matched
	if first.More {
		total = 0
	}
	return s.followBulk(ctx, made.ID, action.verb, total)
}

const bulkEvery = 500 * time.Millisecond

// followBulk shows how a bulk goes on until it has ended. An API that is away for a while does not end that.
func (s *session) followBulk(ctx context.Context, id, verb string, total int64) error {
	bar := show.NewProgress(s.Terminal, verb, total, s.now())
	defer bar.End()
	var since time.Time // when the API was last there, while it is away
	for {
		a, err := s.api.Do(ctx, remote.Request{Method: http.MethodGet, Path: remote.Path("v1", "bulk", id)})
		var b remote.Bulk
		if err == nil {
			err = a.Decode(&b)
		}
		pause := bulkEvery
		switch {
		case ctx.Err() != nil:
			bar.End()
			return failed(remote.ExitInterrupted, "bulk %s goes on: %s bulk follow %s looks on again, and bulk stop ends it", show.Line(id), s.program, show.Line(id))
		case err != nil && !remote.Temporary(err):
			return err
		case err != nil:
			if since.IsZero() {
				since = s.now()
			}
			if s.now().Sub(since) > followPatience {
				return err
			}
			pause = 2 * time.Second
		default:
			since = time.Time{}
			note := ""
			if b.Failed > 0 {
				note = show.Count(b.Failed) + " failed"
			}
			bar.Set(b.Done+b.Skipped+b.Failed, note, s.now())
			if (remote.Task{State: b.State}).Final() {
				bar.End()
				return s.bulkEnded(a, b)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// bulkEnded tells what came of a bulk.
func (s *session) bulkEnded(a remote.Answer, b remote.Bulk) error {
	var err error
	if s.json {
		err = s.printJSON(a.Data)
	} else {
		err = s.printBulk(b)
	}
	switch {
	case err != nil:
		return err
	case b.State == "SUCCESS" && b.Failed == 0:
		return nil
	case b.State == "SUCCESS":
		return failed(remote.ExitFailed, "%s of them failed", show.Count(b.Failed))
	case b.State == "FAILURE":
		return failed(remote.ExitFailed, "the bulk failed: %s", show.Line(b.Error))
	default:
		return endOf(b.State)
	}
}

func (s *session) printBulk(b remote.Bulk) error {
	took := ""
	if b.StartedAt != nil {
		end := s.now()
		if b.FinishedAt != nil {
			end = *b.FinishedAt
		}
		took = show.Duration(end.Sub(*b.StartedAt))
	}
	var wrong []string
	for _, f := range b.Failures {
		wrong = append(wrong, f.ID+": "+f.Error)
	}
	skipped := show.Count(b.Skipped)
	if b.Gone > 0 {
		skipped += " (" + show.Count(b.Gone) + " that Redis does not have any more)"
	}
	return show.PrintFields(s.Terminal,
		show.Field{Name: "bulk", Value: b.ID, Tone: show.Strong},
		show.Field{Name: "action", Value: b.Action},
		show.Field{Name: "by", Value: b.By},
		show.Field{Name: "state", Value: b.State, Tone: show.ToneOf(b.State)},
		show.Field{Name: "done", Value: fmt.Sprintf("%s, skipped %s, failed %s, of %s looked at", show.Count(b.Done), skipped,
			show.Count(b.Failed), show.Count(b.LookedAt))},
		show.Field{Name: "took", Value: took},
		show.Field{Name: "error", Value: b.Error, Tone: show.Bad},
		show.Field{Name: "failures", Value: strings.Join(wrong, "\n"), Tone: show.Bad},
	)
}
