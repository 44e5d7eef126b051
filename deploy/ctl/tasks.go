package ctl

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

func (e environment) tasks() *cobra.Command {
	var p paging
	var f remote.Filter
	cmd := &cobra.Command{
		Use:   "tasks",
		Short: "Search the history of tasks, newest first",
		Long: "Search the history of tasks, newest first. It is a second or two late. The dead letters of a queue, as Redis keeps them, are\n" +
			"queues dead NAME.",
		Args: usage(cobra.NoArgs),
		Example: `  PROGRAM ctl tasks --state running
  PROGRAM ctl tasks --state FAILURE --since today --task sms.send
  PROGRAM ctl tasks --search 'connection refused' --json | jq -r '.tasks[].id'`,
	}
	filterFlags(cmd, &f)
	p.flags(cmd, 20)
	watchFlag(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, _ []string) error {
		return s.repeat(ctx, func(ctx context.Context, s *session) error {
			filter, err := settle(f, s.now())
			if err != nil {
				return err
			}
			rows, next, err := gather[remote.Task](ctx, s, "/v1/tasks", "tasks", queryOf(filter), p, 100)
			if err != nil {
				return err
			}
			if !s.none("such task", len(rows), next) {
				if err := s.table(taskTable(rows, s.now())); err != nil {
					return err
				}
			}
			s.more(next, len(rows))
			return nil
		})
	})
	return cmd
}

// taskTable is one line a task: where it stands, and what is to be said of that.
func taskTable(tasks []remote.Task, now time.Time) *show.Table {
	t := &show.Table{Columns: []show.Column{
		{Name: "ID", Least: 14, Front: true}, {Name: "TASK", Least: 10}, {Name: "QUEUE", Least: 6}, {Name: "STATE"}, {Name: "ENQUEUED", Right: true},
		{Name: "TOOK", Right: true}, {Name: "RETRIES", Right: true}, {Name: "NOTE", Least: 12},
	}}
	for _, k := range tasks {
		t.Add(k.ID, k.Task, k.Queue, show.Cell{Text: k.State, Tone: show.ToneOf(k.State)}, show.Clock(k.EnqueuedAt, now), took(k, now),
			fmt.Sprintf("%d/%d", k.Retries, k.MaxRetries), taskNote(k, now))
	}
	return t
}

// took is how long the current or last attempt ran.
func took(k remote.Task, now time.Time) string {
	end := &now
	switch {
	case k.StartedAt == nil:
		return "-"
	case k.CompletedAt != nil:
		end = k.CompletedAt
	case k.State == "FAILURE" && k.FailedAt != nil:
		end = k.FailedAt
	case k.State != "STARTED" && k.State != "PROGRESS":
		return "-"
	}
	return show.Duration(end.Sub(*k.StartedAt))
}

func taskNote(k remote.Task, now time.Time) string {
	switch {
	case k.Error != "":
		return k.Error
	case k.State == "PROGRESS":
		return progressText(k.Progress)
	case k.State == "SUCCESS":
		return jsonText(k.Result)
	case k.NextRunAt != nil && !k.Final():
		return "runs in " + show.Until(k.NextRunAt, now)
	}
	return ""
}

// jsonText is a JSON value on one line; "" of null.
func jsonText(raw []byte) string {
	if text := string(raw); text != "null" {
		return text
	}
	return ""
}

func (e environment) task() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "task ID", Short: "Where a task stands: its arguments, attempts, progress, result or error", Args: usage(cobra.ExactArgs(1)),
	}
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait for its end, for so long at most, up to 60s")
	watchFlag(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		if wait < 0 || wait > time.Minute {
			return remote.UsageErrorf("--wait: %s is not between 0 and 60s", wait)
		}
		return s.repeat(ctx, func(ctx context.Context, s *session) error {
			query := values()
			if wait > 0 {
				query.Set("wait", wait.String())
			}
			a, err := s.request(ctx, remote.Request{
				Method: http.MethodGet, Path: remote.Path("v1", "tasks", args[0]), Query: query, Timeout: wait + 3*standardPatience,
			})
			if err != nil || s.json {
				return err
			}
			var k remote.Task
			if err := a.Decode(&k); err != nil {
				return err
			}
			return s.printTask(k)
		})
	})
	return cmd
}

func (s *session) printTask(k remote.Task) error {
	now := s.now()
	next := ""
	if k.NextRunAt != nil && !k.Final() {
		next = fmt.Sprintf("%s (in %s)", show.Time(k.NextRunAt), show.Until(k.NextRunAt, now))
	}
	var headers []string
	for name, value := range k.Headers {
		headers = append(headers, name+": "+value)
	}
	crashes := ""
	if k.Crashes > 0 {
		crashes = fmt.Sprint(k.Crashes)
	}
	fields := []show.Field{
		{Name: "task", Value: k.Task, Tone: show.Strong},
		{Name: "id", Value: k.ID},
		{Name: "queue", Value: strings.TrimSpace(k.Queue + " " + priority(k.Priority))},
		{Name: "state", Value: k.State, Tone: show.ToneOf(k.State)},
		{Name: "error", Value: k.Error, Tone: show.Bad},
		{Name: "alike", Value: k.ErrorGroup},
		{Name: "progress", Value: progressText(k.Progress)},
		{Name: "result", Value: jsonText(k.Result)},
		{Name: "arguments", Value: jsonText(k.Args)},
		{Name: "withheld", Value: k.Withheld},
		{Name: "tags", Value: strings.Join(k.Tags, " ")},
		{Name: "headers", Value: strings.Join(headers, "\n")},
		{Name: "retries", Value: fmt.Sprintf("%d of %d", k.Retries, k.MaxRetries)},
		{Name: "crashes", Value: crashes, Tone: show.Bad},
		{Name: "enqueued", Value: show.Time(k.EnqueuedAt)},
		{Name: "not before", Value: show.Time(k.ETA)},
		{Name: "expires", Value: show.Time(k.Expires)},
		{Name: "next run", Value: next},
		{Name: "started", Value: show.Time(k.StartedAt)},
		{Name: "ended", Value: show.Time(k.CompletedAt)},
		{Name: "worker", Value: k.Worker},
		{Name: "request", Value: k.RequestID},
	}
	if err := show.PrintFields(s.Terminal, fields...); err != nil || len(k.Attempts) == 0 {
		return err
	}
	if err := s.say(""); err != nil {
		return err
	}
	t := show.Table{Columns: []show.Column{
		{Name: "ATTEMPT", Right: true}, {Name: "OUTCOME"}, {Name: "ENDED", Right: true}, {Name: "TOOK", Right: true}, {Name: "WORKER", Least: 8}, {Name: "ERROR", Least: 16},
	}}
	for _, a := range k.Attempts {
		took := "-"
		if a.StartedAt != nil && a.EndedAt != nil {
			took = show.Duration(a.EndedAt.Sub(*a.StartedAt))
		}
		t.Add(a.Number, a.Outcome, show.Clock(a.EndedAt, now), took, a.Worker, a.Error)
	}
	return s.table(&t)
}

func priority(p string) string {
	if p == "" || p == "normal" {
		return ""
	}
	return "(" + p + ")"
}

func (e environment) taskTypes() *cobra.Command {
	cmd := &cobra.Command{
		Use: "task-types [NAME]", Short: "The tasks that can be enqueued; with a name the JSON Schema of its arguments", Args: usage(cobra.MaximumNArgs(1)),
		ValidArgsFunction: e.complete("/v1/task-types", "task_types", 0, false),
	}
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		if len(args) == 0 {
			a, err := s.request(ctx, remote.Request{Method: http.MethodGet, Path: "/v1/task-types"})
			if err != nil || s.json {
				return err
			}
			var types []remote.TaskType
			if err := a.Decode(&types); err != nil {
				return err
			}
			t := show.Table{Columns: []show.Column{{Name: "TASK"}, {Name: "QUEUE"}}}
			for _, k := range types {
				t.Add(k.Name, k.Queue)
			}
			return s.table(&t)
		}
		var types []remote.TaskType
		if err := s.api.Get(ctx, "/v1/task-types", nil, &types); err != nil {
			return err
		}
		for _, k := range types {
			if k.Name == args[0] {
				return s.printJSON(k.Schema)
			}
		}
		return failed(remote.ExitNotFound, "there is no task %s: %s task-types lists them", show.Line(args[0]), s.program)
	})
	return cmd
}
