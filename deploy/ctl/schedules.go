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

func (e environment) schedules() *cobra.Command {
	var p paging
	cmd := &cobra.Command{
		Use:   "schedules [NAME]",
		Short: "The periodic tasks: list, add, change, pause, run now, and which ticks ran",
		Args:  usage(cobra.MaximumNArgs(1)),
		Example: `  PROGRAM ctl schedules
  PROGRAM ctl schedules ticks nightly
  PROGRAM ctl schedules run nightly --watch
  PROGRAM ctl schedules add nightly --task reports.make --cron '0 3 * * *' --timezone Asia/Shanghai`,
		ValidArgsFunction: e.complete("/v1/schedules", "schedules", 0, false),
	}
	p.flags(cmd, 1000)
	watchFlag(cmd)
	view := func(ctx context.Context, s *session, args []string) error {
		return s.repeat(ctx, func(ctx context.Context, s *session) error {
			if len(args) == 1 {
				return s.showSchedule(ctx, args[0])
			}
			return s.listSchedules(ctx, p)
		})
	}
	cmd.RunE = e.run(view)
	one := &cobra.Command{
		Use: "show NAME", Short: "One entry, whatever its name is", Args: usage(cobra.ExactArgs(1)), RunE: e.run(view),
		ValidArgsFunction: e.complete("/v1/schedules", "schedules", 0, false),
	}
	watchFlag(one)
	cmd.AddCommand(one, e.scheduleWrite("add"), e.scheduleWrite("change"), e.scheduleDelete(), e.scheduleRun(), e.scheduleTicks(), e.schedulePreview(),
		e.scheduleSwitch("pause", "Have entries enqueue nothing, until they are resumed"),
		e.scheduleSwitch("resume", "Have entries enqueue again"))
	return cmd
}

func (s *session) listSchedules(ctx context.Context, p paging) error {
	rows, next, err := gather[remote.Schedule](ctx, s, "/v1/schedules", "schedules", nil, p, 0)
	if err != nil || s.none("entries", len(rows), next) {
		return err
	}
	t := show.Table{Columns: []show.Column{
		{Name: "SCHEDULE", Least: 10}, {Name: "TASK", Least: 10}, {Name: "RULE", Least: 10}, {Name: "ZONE", Least: 6}, {Name: "SOURCE"}, {Name: "NEXT", Right: true},
		{Name: "LAST", Right: true}, {Name: "STATE", Least: 6},
	}}
	for _, e := range rows {
		t.Add(e.Name, e.Task, e.Spec, e.Timezone, sourceOf(e), show.Until(e.NextTick, s.now()), show.Ago(e.LastTick, s.now()), entryState(e))
	}
	if err := s.table(&t); err != nil {
		return err
	}
	s.more(next, len(rows))
	return nil
}

func sourceOf(e remote.Schedule) string {
	if e.Source == "" {
		return "file"
	}
	return e.Source
}

// entryState is what is unusual about an entry.
func entryState(e remote.Schedule) show.Cell {
	by := e.ChangedBy
	if e.Override != nil {
		by = e.Override.By
	}
	if by != "" {
		by = " by " + by
	}
	switch {
	case e.Problem != "":
		return show.Cell{Text: e.Problem, Tone: show.Bad}
	case e.Paused:
		return show.Cell{Text: "paused" + by, Tone: show.Wait}
	case e.Override != nil && e.Override.Changed:
		return show.Cell{Text: "changed" + by}
	case e.InForce != nil && !*e.InForce:
		return show.Cell{Text: "not yet in force", Tone: show.Wait}
	}
	return show.Cell{}
}

func (s *session) showSchedule(ctx context.Context, name string) error {
	a, err := s.request(ctx, remote.Request{Method: http.MethodGet, Path: remote.Path("v1", "schedules", name)})
	if err != nil || s.json {
		return err
	}
	return s.printSchedule(a)
}

func (s *session) printSchedule(a remote.Answer) error {
	var e remote.Schedule
	if err := a.Decode(&e); err != nil {
		return err
	}
	yes := map[bool]string{false: "no", true: "yes"}
	override, changed, force, shadows, ticks := "", "", "", "", ""
	if o := e.Override; o != nil {
		override = "the pause"
		if o.Changed {
			override = "the entry"
		}
		override += ", by " + o.By + " at " + show.Time(o.At)
	}
	if e.ChangedBy != "" {
		changed = "by " + e.ChangedBy + " at " + show.Time(e.ChangedAt)
	}
	if e.InForce != nil && !*e.InForce {
		force = "not yet: no scheduler has learned of the change"
	}
	if e.Shadows {
		shadows = "the table has an entry of this name, too, which rests"
	}
	if e.MaxTicks > 0 {
		ticks = fmt.Sprintf("%s of %s", show.Count(e.Ticks), show.Count(e.MaxTicks))
	}
	overlap := e.Overlap
	if e.OverlapLimit > 0 {
		overlap += fmt.Sprintf(", up to %d", e.OverlapLimit)
	}
	return show.PrintFields(s.Terminal,
		show.Field{Name: "schedule", Value: e.Name, Tone: show.Strong},
		show.Field{Name: "source", Value: sourceOf(e)},
		show.Field{Name: "task", Value: e.Task},
		show.Field{Name: "queue", Value: e.Queue},
		show.Field{Name: "rule", Value: strings.TrimSpace(e.Spec + " " + e.Timezone)},
		show.Field{Name: "overlap", Value: overlap},
		show.Field{Name: "misfire", Value: e.Misfire},
		show.Field{Name: "ticks", Value: ticks},
		show.Field{Name: "paused", Value: yes[e.Paused]},
		show.Field{Name: "in force", Value: force, Tone: show.Wait},
		show.Field{Name: "problem", Value: e.Problem, Tone: show.Bad},
		show.Field{Name: "overridden", Value: override},
		show.Field{Name: "changed", Value: changed},
		show.Field{Name: "shadows", Value: shadows},
		show.Field{Name: "next tick", Value: show.Time(e.NextTick)},
		show.Field{Name: "last tick", Value: show.Time(e.LastTick)},
		show.Field{Name: "last task", Value: e.LastTaskID},
		show.Field{Name: "entry", Value: describe.JSON(e.Entry)},
	)
}

// scheduleSwitch is pause or resume.
func (e environment) scheduleSwitch(verb, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: verb + " NAME...", Short: short, Args: usage(cobra.MinimumNArgs(1)),
		ValidArgsFunction: e.complete("/v1/schedules", "schedules", 0, true),
	}
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		return s.each(ctx, args, func(name string) error {
			a, err := s.act(ctx, remote.Path("v1", "schedules", name, verb), nil)
			if err != nil || s.json {
				return err
			}
			return s.say("%s: %s", show.Line(name), show.Line(a.Msg))
		})
	})
	return cmd
}

func (e environment) scheduleRun() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "run NAME", Short: "Enqueue an entry's task now, and print its id", Args: usage(cobra.ExactArgs(1)),
		ValidArgsFunction: e.complete("/v1/schedules", "schedules", 0, false),
	}
	cmd.Flags().BoolVar(&follow, "watch", false, "follow the task to its end, as watch does")
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		a, err := s.api.Do(ctx, remote.Request{Method: http.MethodPost, Path: remote.Path("v1", "schedules", args[0], "run")})
		if err != nil {
			return err
		}
		if err := s.sayMade(a); err != nil || !follow {
			return err
		}
		return s.follow(ctx, a.TaskID)
	})
	return cmd
}

func (e environment) scheduleDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "delete NAME",
		Short:             "Delete an entry of the table, or take back what was changed of one of the file; it asks first",
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: e.complete("/v1/schedules", "schedules", 0, false),
	}
	yesFlag(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		question := "Delete schedule " + show.Line(args[0]) + "?"
		if !s.yes {
			var entry remote.Schedule
			if err := s.api.Get(ctx, remote.Path("v1", "schedules", args[0]), nil, &entry); err != nil {
				return err
			}
			if entry.Source == "file" {
				question = "Take back what was changed of schedule " + show.Line(args[0]) + ", so that it is as its file says?"
			}
		}
		if err := s.confirm(ctx, question); err != nil {
			return err
		}
		a, err := s.request(ctx, remote.Request{Method: http.MethodDelete, Path: remote.Path("v1", "schedules", args[0])})
		if err != nil || s.json {
			return err
		}
		return s.say("%s: %s", show.Line(args[0]), show.Line(a.Msg))
	})
	return cmd
}

func (e environment) scheduleTicks() *cobra.Command {
	var p paging
	cmd := &cobra.Command{
		Use: "ticks NAME", Short: "Which ticks of an entry ran, how late, and which were skipped and why", Args: usage(cobra.ExactArgs(1)),
		ValidArgsFunction: e.complete("/v1/schedules", "schedules", 0, false),
	}
	p.flags(cmd, 20)
	watchFlag(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		return s.repeat(ctx, func(ctx context.Context, s *session) error {
			rows, next, err := gather[remote.Tick](ctx, s, remote.Path("v1", "schedules", args[0], "ticks"), "ticks", nil, p, 200)
			if err != nil || s.none("tick yet", len(rows), next) {
				return err
			}
			t := show.Table{Columns: []show.Column{
				{Name: "DUE"}, {Name: "LATE", Right: true}, {Name: "STATE"}, {Name: "TASK", Least: 16, Front: true}, {Name: "NOTE", Least: 8},
			}}
			for _, tick := range rows {
				late, note := "-", ""
				if tick.Lateness != nil && tick.Skipped == "" {
					late = show.Duration(time.Duration(*tick.Lateness * float64(time.Second)))
				}
				if tick.Manual {
					note = "by hand"
				}
				if tick.Skipped != "" {
					note = "skipped: " + tick.Skipped
					if tick.Ticks > 1 {
						note += fmt.Sprintf(", %s ticks", show.Count(tick.Ticks))
					}
				}
				t.Add(show.Clock(tick.Due, s.now()), late, show.Cell{Text: tick.State, Tone: show.ToneOf(tick.State)}, tick.TaskID, show.Cell{Text: note, Tone: show.Wait})
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
