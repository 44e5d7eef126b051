package ctl

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

func (e environment) audit() *cobra.Command {
	var p paging
	var who, what, subject, since, until string
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Who did what to what, when, and what came of it, newest first",
		Args:  usage(cobra.NoArgs),
		Example: `  PROGRAM ctl audit --what 'POST /v1/queues/:name/pause' --subject default
  PROGRAM ctl audit --who alice --since today`,
	}
	flags := cmd.Flags()
	flags.StringVar(&who, "who", "", "those of a key's `name`, or a user")
	flags.StringVar(&what, "what", "", "those that begin so: a method, or a method and a `route`")
	flags.StringVar(&subject, "subject", "", "those about this `thing`, in full: a queue, a worker, a task's id, tag=…")
	flags.StringVar(&since, "since", "", "those since a `time`: today, 24h, 7d (ago), 2006-01-02, or RFC 3339")
	flags.StringVar(&until, "until", "", "those before a `time`")
	p.flags(cmd, 50)
	watchFlag(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, _ []string) error {
		return s.repeat(ctx, func(ctx context.Context, s *session) error {
			query := values("who", who, "what", what, "subject", subject)
			for name, bound := range map[string]struct{ flag, text string }{"from": {"since", since}, "to": {"until", until}} {
				if bound.text == "" {
					continue
				}
				t, err := moment(bound.flag, bound.text, s.now())
				if err != nil {
					return err
				}
				query.Set(name, t.UTC().Format(time.RFC3339))
			}
			rows, next, err := gather[remote.Act](ctx, s, "/v1/audit", "acts", query, p, 200)
			if err != nil || s.none("such act", len(rows), next) {
				return err
			}
			t := show.Table{Columns: []show.Column{
				{Name: "AT"}, {Name: "WHO", Least: 6}, {Name: "ROLE", Least: 4}, {Name: "WHAT", Least: 16}, {Name: "SUBJECT", Least: 10, Front: true}, {Name: "OUTCOME"}, {Name: "ADDRESS", Least: 9},
				{Name: "MESSAGE", Least: 10},
			}}
			for _, a := range rows {
				message := a.Message
				if message == "" && a.TaskID != "" && a.TaskID != a.Subject {
					message = "task " + a.TaskID
				}
				if message != "" && a.Status >= 400 {
					message = fmt.Sprintf("%d: %s", a.Status, message)
				}
				t.Add(show.Clock(a.At, s.now()), a.Who, a.Role, a.What, a.Subject, show.Cell{Text: a.Outcome, Tone: show.ToneOf(a.Outcome)}, a.Address, message)
			}
			if err := s.table(&t); err != nil {
				return err
			}
			s.more(next, len(rows))
			return nil
		})
	})
	return cmd
}
