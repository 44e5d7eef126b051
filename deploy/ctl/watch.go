package ctl

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/describe"
	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

func (e environment) watch() *cobra.Command {
	return &cobra.Command{
		Use:   "watch ID",
		Short: "Follow a task to its end, whose state is the exit code",
		Long: "Follow a task to its end: a line for each change. The exit code is 0 for SUCCESS, 1 for FAILURE, 6 for REVOKED, and 7 when its end\n" +
			"is not known. When the API goes away for less than two minutes, it goes on.",
		Args: usage(cobra.ExactArgs(1)),
		RunE: e.run(func(ctx context.Context, s *session, args []string) error { return s.follow(ctx, args[0]) }),
	}
}

// followPatience is for how long the API may be away while a task is followed.
const followPatience = 2 * time.Minute

func (s *session) follow(ctx context.Context, id string) error {
	var last remote.Task
	ended, shown := false, ""
	lost := func(err error) { s.note("%s; trying again", err) }
	err := s.api.Follow(ctx, id, followPatience, lost, func(e remote.Event) error {
		if s.json {
			if err := s.printJSON(e.Data); err != nil {
				return err
			}
		}
		switch e.Name {
		case "end":
			ended = true
			var end struct {
				State *string `json:"state"`
			}
			if err := (remote.Answer{Data: e.Data}).Decode(&end); err != nil {
				return err
			}
			if end.State != nil {
				last.State = *end.State
			} else {
				last.State = ""
			}
		case "state":
			last = remote.Task{}
			if err := (remote.Answer{Data: e.Data}).Decode(&last); err != nil {
				return err
			}
			if line := followLine(s, last); !s.json && line != shown {
				shown = line
				return s.say("%s  %s", s.Paint(show.Faint, s.now().Local().Format("15:04:05")), line)
			}
		}
		return nil
	})
	if ctx.Err() != nil && !ended {
		return failed(remote.ExitInterrupted, "")
	}
	if err != nil {
		return err
	}
	return endOf(last.State)
}

// endOf is how a task's last state is told to scripts.
func endOf(state string) error {
	switch state {
	case "SUCCESS":
		return nil
	case "FAILURE":
		return failed(remote.ExitFailed, "")
	case "REVOKED":
		return failed(remote.ExitRevoked, "")
	default:
		return failed(remote.ExitUnknown, "how it ended is not known")
	}
}

func followLine(s *session, k remote.Task) string {
	parts := []string{s.Paint(show.ToneOf(k.State), show.Line(k.State))}
	if p := describe.Progress(k.Progress); p != "" && !k.Final() {
		parts = append(parts, show.Line(p))
	}
	if note := describe.Note(k, s.now()); note != "" && k.State != "PROGRESS" {
		parts = append(parts, show.Line(note))
	}
	if k.Worker != "" && (k.State == "STARTED" || k.State == "PROGRESS") {
		parts = append(parts, "on "+show.Line(k.Worker))
	}
	line := strings.Join(parts, "  ")
	if w := s.Width(); w > 12 {
		line = show.Cut(line, w-10)
	}
	return line
}
