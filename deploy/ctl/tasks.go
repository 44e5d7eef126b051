package ctl

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/describe"
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
				if err := s.table(describe.Tasks(rows, s.now())); err != nil {
					return err
				}
			}
			s.more(next, len(rows))
			return nil
		})
	})
	return cmd
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
	if err := show.PrintFields(s.Terminal, describe.Task(k, s.now())...); err != nil || len(k.Attempts) == 0 {
		return err
	}
	if err := s.say(""); err != nil {
		return err
	}
	return s.table(describe.Attempts(k, s.now()))
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
