package ctl

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/describe"
	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

func (e environment) queues() *cobra.Command {
	var p paging
	cmd := &cobra.Command{
		Use:   "queues [NAME]",
		Short: "What is queued: all queues, or one; pause, resume and purge them",
		Args:  usage(cobra.MaximumNArgs(1)),
		Example: `  PROGRAM ctl queues --watch
  PROGRAM ctl queues pause default
  PROGRAM ctl queues purge default --state pending,scheduled`,
		ValidArgsFunction: e.complete("/v1/queues", "queues", 0, false),
	}
	p.flags(cmd, 1000)
	watchFlag(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		return s.repeat(ctx, func(ctx context.Context, s *session) error {
			if len(args) == 1 {
				return s.showQueue(ctx, args[0])
			}
			return s.listQueues(ctx, p)
		})
	})
	cmd.AddCommand(e.queueSwitch("pause", "Have workers begin no task of queues, until they are resumed"),
		e.queueSwitch("resume", "Have workers begin tasks of queues again"), e.queuePurge(), e.queueDead(), e.queueShow())
	return cmd
}

func (e environment) queueShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show NAME", Short: "One queue, whatever its name is", Args: usage(cobra.ExactArgs(1)),
		ValidArgsFunction: e.complete("/v1/queues", "queues", 0, false),
	}
	watchFlag(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		return s.repeat(ctx, func(ctx context.Context, s *session) error { return s.showQueue(ctx, args[0]) })
	})
	return cmd
}

func (s *session) listQueues(ctx context.Context, p paging) error {
	rows, next, err := gather[remote.Queue](ctx, s, "/v1/queues", "queues", nil, p, 1000)
	if err != nil || s.none("queue has had a task yet", len(rows), next) {
		return err
	}
	t := show.Table{Columns: []show.Column{
		{Name: "QUEUE", Least: 8}, {Name: "PENDING", Right: true}, {Name: "ACTIVE", Right: true}, {Name: "SCHED", Right: true},
		{Name: "RETRY", Right: true}, {Name: "DEAD", Right: true}, {Name: "OLDEST", Right: true}, {Name: "IN/MIN", Right: true},
		{Name: "OUT/MIN", Right: true}, {Name: "WORKERS", Right: true}, {Name: "PAUSED", Least: 6},
	}}
	for _, q := range rows {
		t.Add(q.Name, show.Count(q.Pending), show.Count(q.Active), show.Count(q.Scheduled), show.Count(q.Retry), describe.Dead(q.Dead), describe.Oldest(q),
			show.Count(q.In), show.Count(q.Out), describe.WorkersOf(q), show.Cell{Text: describe.Paused(q.Paused, s.now()), Tone: show.Wait})
	}
	if err := s.table(&t); err != nil {
		return err
	}
	s.more(next, len(rows))
	return nil
}

func (s *session) showQueue(ctx context.Context, name string) error {
	a, err := s.request(ctx, remote.Request{Method: "GET", Path: remote.Path("v1", "queues", name)})
	if err != nil || s.json {
		return err
	}
	var q remote.Queue
	if err := a.Decode(&q); err != nil {
		return err
	}
	return show.PrintFields(s.Terminal, describe.Queue(q, s.now())...)
}

// queueSwitch is pause or resume.
func (e environment) queueSwitch(verb, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: verb + " NAME...", Short: short, Args: usage(cobra.MinimumNArgs(1)),
		ValidArgsFunction: e.complete("/v1/queues", "queues", 0, true),
	}
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		return s.each(ctx, args, func(name string) error {
			a, err := s.act(ctx, remote.Path("v1", "queues", name, verb), nil)
			if err != nil || s.json {
				return err
			}
			var done struct {
				Paused *remote.Pause `json:"paused"`
			}
			if err := a.Decode(&done); err != nil {
				return err
			}
			text := show.Line(name) + ": " + show.Line(a.Msg)
			if done.Paused != nil {
				text += " (" + show.Line(describe.Paused(done.Paused, s.now())) + ")"
			}
			return s.say("%s", text)
		})
	})
	return cmd
}

func (e environment) queueDead() *cobra.Command {
	var p paging
	cmd := &cobra.Command{
		Use: "dead NAME", Short: "The dead letters of a queue, the latest first", Args: usage(cobra.ExactArgs(1)),
		ValidArgsFunction: e.complete("/v1/queues", "queues", 0, false),
	}
	p.flags(cmd, 50)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		rows, next, err := gather[remote.Task](ctx, s, remote.Path("v1", "queues", args[0], "dead"), "tasks", nil, p, 100)
		if err != nil || s.none("dead letters in queue "+show.Line(args[0]), len(rows), next) {
			return err
		}
		if err := s.table(describe.Tasks(rows, s.now())); err != nil {
			return err
		}
		s.more(next, len(rows))
		return nil
	})
	return cmd
}

// purgeStates are those that a purge takes, as the API names them.
var purgeStates = []string{"pending", "scheduled", "retry", "dead", "completed"}

func (e environment) queuePurge() *cobra.Command {
	var chosen []string
	var dry bool
	cmd := &cobra.Command{
		Use:   "purge NAME --state STATES",
		Short: "Take all tasks of some states off a queue",
		Long: "Take all tasks of some states off a queue. Those that wait (pending, scheduled, retry) end as REVOKED; those that have ended\n" +
			"(dead, completed) are deleted with their results. Tasks that run are left alone. It shows how many there are and asks first.",
		Args:              usage(cobra.ExactArgs(1)),
		Example:           "  PROGRAM ctl queues purge default --state pending,scheduled --dry-run",
		ValidArgsFunction: e.complete("/v1/queues", "queues", 0, false),
	}
	cmd.Flags().StringSliceVar(&chosen, "state", nil, "the `states` to purge, with commas: "+strings.Join(purgeStates, ", "))
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only count")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(purgeStates, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	yesFlag(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		if len(chosen) == 0 {
			return remote.UsageErrorf("--state: name the states to purge, of %s", strings.Join(purgeStates, ", "))
		}
		for _, state := range chosen {
			if !slices.Contains(purgeStates, state) {
				return remote.UsageErrorf("--state: %q is none of %s", state, strings.Join(purgeStates, ", "))
			}
		}
		return s.purge(ctx, args[0], chosen, dry)
	})
	return cmd
}

type purged struct {
	Purged map[string]int64 `json:"purged"`
	Left   map[string]int64 `json:"left"`
	More   bool             `json:"more"`
}

// purgeTimeout is above the time in which the API answers a purge, done or not.
const purgeTimeout = time.Minute

func (s *session) purge(ctx context.Context, name string, states []string, dry bool) error {
	ask := func(dry bool) (p purged, a remote.Answer, err error) {
		a, err = s.api.Do(ctx, remote.Request{
			Method: "POST", Path: remote.Path("v1", "queues", name, "purge"), Timeout: purgeTimeout,
			Body: map[string]any{"states": states, "dry_run": dry},
		})
		if err == nil {
			err = a.Decode(&p)
		}
		return p, a, err
	}
	first, a, err := ask(true)
	if err != nil {
		return err
	}
	total := sum(first.Left)
	if dry {
		if s.json {
			return s.printJSON(a.Data)
		}
		return s.say("would purge %s of queue %s", counts(first.Left, "tasks"), show.Line(name))
	}
	if total == 0 && !s.json {
		return s.say("nothing to purge in queue %s", show.Line(name))
	}
	if err := s.confirm(ctx, fmt.Sprintf("Purge %s of queue %s?", counts(first.Left, "tasks"), show.Line(name))); err != nil {
		return err
	}
	done, err := s.purgeAll(ctx, name, states, total, ask)
	switch {
	case ctx.Err() != nil:
		return failed(remote.ExitInterrupted, "%s of queue %s are purged; the API may go on until its request ends", counts(done, "tasks"), show.Line(name))
	case err != nil && sum(done) > 0:
		s.note("%s of queue %s were purged before this; the same command takes the rest", counts(done, "tasks"), show.Line(name))
		return err
	case err != nil || s.json:
		return err
	}
	return s.say("purged %s of queue %s", counts(done, "tasks"), show.Line(name))
}

// purgeAll asks until nothing is left, with a bar that follows the queue's counts.
func (s *session) purgeAll(ctx context.Context, name string, states []string, total int64, ask func(bool) (purged, remote.Answer, error)) (map[string]int64, error) {
	done := make(map[string]int64)
	bar := show.NewProgress(s.Terminal, "purging "+name, total, s.now())
	defer bar.End()
	for {
		type result struct {
			purged
			answer remote.Answer
			err    error
		}
		answered := make(chan result, 1)
		go func() {
			p, a, err := ask(false)
			answered <- result{p, a, err}
		}()
		var r result
		for waiting := true; waiting; {
			select {
			case r = <-answered:
				waiting = false
			case <-time.After(time.Second):
				if left, err := s.leftOf(ctx, name, states); err == nil {
					bar.Set(max(sum(done), total-left), "", s.now())
				}
			}
		}
		if r.err != nil {
			return done, r.err
		}
		for state, n := range r.Purged {
			done[state] += n
		}
		bar.Set(sum(done), "", s.now())
		if s.json {
			if err := s.printJSON(r.answer.Data); err != nil {
				return done, err
			}
		}
		if !r.More {
			return done, nil
		}
	}
}

// leftOf is how many tasks of the states a queue has now.
func (s *session) leftOf(ctx context.Context, name string, states []string) (n int64, err error) {
	var q remote.Queue
	if err := s.api.Get(ctx, remote.Path("v1", "queues", name), nil, &q); err != nil {
		return 0, err
	}
	now := map[string]int64{"pending": q.Pending, "scheduled": q.Scheduled, "retry": q.Retry, "dead": q.Dead, "completed": q.Completed}
	for _, state := range states {
		n += now[state]
	}
	return n, nil
}

func sum(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// counts is "1,203 tasks (1,200 pending, 3 scheduled)".
func counts(by map[string]int64, things string) string {
	var parts []string
	for _, state := range slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return slices.Index(purgeStates, a) - slices.Index(purgeStates, b)
	}) {
		if by[state] > 0 {
			parts = append(parts, show.Count(by[state])+" "+state)
		}
	}
	text := show.Count(sum(by)) + " " + things
	if sum(by) == 1 {
		text = strings.TrimSuffix(text, "s")
	}
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return text
}
