package ctl

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

func (e environment) why() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why ID",
		Short: "Why a task does not run: each reason, and what to do; or what ended it",
		Args:  usage(cobra.ExactArgs(1)),
	}
	watchFlag(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		return s.repeat(ctx, func(ctx context.Context, s *session) error {
			a, err := s.request(ctx, remote.Request{Method: http.MethodGet, Path: remote.Path("v1", "tasks", args[0], "why")})
			if err != nil || s.json {
				return err
			}
			var w remote.Why
			if err := a.Decode(&w); err != nil {
				return err
			}
			return s.printWhy(w)
		})
	})
	return cmd
}

func (s *session) printWhy(w remote.Why) error {
	if err := s.say("%s  %s  in queue %s  %s", s.Paint(show.Strong, show.Line(w.Task)), show.Line(w.ID), show.Line(w.Queue),
		s.Paint(show.ToneOf(w.State), show.Line(w.State))); err != nil {
		return err
	}
	if len(w.Reasons) == 0 {
		return s.say("nothing keeps it from running")
	}
	for i, r := range w.Reasons {
		text := r.Message
		if times := reasonTimes(s, r); times != "" && !(remote.Task{State: w.State}).Final() {
			text += " (" + times + ")"
		}
		if r.Error != "" && !strings.Contains(r.Message, r.Error) {
			text += "\n" + r.Error
		}
		if err := s.indented(fmt.Sprintf("%d. ", i+1), text, show.Plain); err != nil {
			return err
		}
		if r.Advice != "" {
			if err := s.indented("   → ", r.Advice, show.Faint); err != nil {
				return err
			}
		}
		for _, k := range r.Tasks {
			line := fmt.Sprintf("%s  %s  on %s", k.ID, k.Task, k.Worker)
			if k.Since != nil {
				line += "  for " + show.Ago(k.Since, s.now())
			}
			if err := s.indented("     ", line, show.Plain); err != nil {
				return err
			}
		}
	}
	return nil
}

// reasonTimes is since and until when a reason holds.
func reasonTimes(s *session, r remote.Reason) string {
	var parts []string
	if r.Since != nil {
		parts = append(parts, "for "+show.Ago(r.Since, s.now()))
	}
	if r.Until != nil {
		parts = append(parts, "until "+show.Clock(r.Until, s.now())+", in "+show.Until(r.Until, s.now()))
	}
	return strings.Join(parts, ", ")
}

// indented writes text behind a mark, wrapped below its own beginning.
func (s *session) indented(mark, text string, tone show.Tone) error {
	room := 0
	if w := s.Width(); w > 0 {
		room = max(20, w-show.Width(mark))
	}
	for i, line := range show.Wrap(show.Lines(text), room) {
		if i > 0 {
			mark = strings.Repeat(" ", show.Width(mark))
		}
		if err := s.say("%s%s", mark, s.Paint(tone, line)); err != nil {
			return err
		}
	}
	return nil
}
