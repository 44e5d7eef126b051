package ctl

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

// manyTimeout is above the time in which the API answers what concerns many tasks, done or not.
const manyTimeout = time.Minute

func (e environment) retry() *cobra.Command {
	var queue string
	cmd := &cobra.Command{
		Use:   "retry ID... | --queue NAME",
		Short: "Run tasks again that failed or were revoked, or now those that wait for their time",
		Long: "Run tasks again that failed or were revoked, with all their retries; one that waits for its time or its next attempt runs now.\n" +
			"Those of a search are for bulk retry.",
	}
	cmd.Flags().StringVar(&queue, "queue", "", "all dead letters of the queue of that `name`, instead of tasks by id")
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		if (len(args) == 0) == (queue == "") {
			return remote.UsageErrorf("name tasks by their ids, or a --queue, and not both")
		}
		if queue != "" {
			a, err := s.request(ctx, remote.Request{Method: http.MethodPost, Path: remote.Path("v1", "queues", queue, "retry"), Timeout: manyTimeout})
			if err != nil || s.json {
				return err
			}
			var done struct {
				Retried int64 `json:"retried"`
			}
			if err := a.Decode(&done); err != nil {
				return err
			}
			return s.say("%s dead letters of queue %s run again", show.Count(done.Retried), show.Line(queue))
		}
		return s.each(ctx, args, func(id string) error {
			a, err := s.api.Do(ctx, remote.Request{Method: http.MethodPost, Path: remote.Path("v1", "tasks", id, "retry")})
			if err != nil {
				return err
			}
			return s.sayMade(a)
		})
	})
	return cmd
}

func (e environment) revoke() *cobra.Command {
	var tag, reason string
	var terminate bool
	cmd := &cobra.Command{
		Use:   "revoke ID... | --tag TAG",
		Short: "Make sure that tasks do not run any more",
		Long: "Make sure that tasks do not run any more. What waits is REVOKED at once. What runs may finish this attempt, unless --terminate\n" +
			"tells it to end.",
		Example: "  PROGRAM ctl revoke --tag import-7 --terminate --reason 'the wrong file'",
	}
	cmd.Flags().StringVar(&tag, "tag", "", "all tasks with the `tag` that have not ended; it asks first")
	cmd.Flags().BoolVar(&terminate, "terminate", false, "end those that run, too")
	cmd.Flags().StringVar(&reason, "reason", "", "why, in a `line` that whoever may see the task reads")
	yesFlag(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		if (len(args) == 0) == (tag == "") {
			return remote.UsageErrorf("name tasks by their ids, or a --tag, and not both")
		}
		query := values("reason", reason)
		if terminate {
			query.Set("terminate", "true")
		}
		if tag != "" {
			query.Set("tag", tag)
			return s.revokeTag(ctx, remote.Request{Method: http.MethodDelete, Path: "/v1/tasks", Query: query, Timeout: manyTimeout}, tag)
		}
		return s.each(ctx, args, func(id string) error {
			a, err := s.request(ctx, remote.Request{Method: http.MethodDelete, Path: remote.Path("v1", "tasks", id), Query: query})
			if err != nil || s.json {
				return err
			}
			var done struct {
				State string `json:"state"`
			}
			if err := a.Decode(&done); err != nil {
				return err
			}
			return s.say("%s: %s (%s)", show.Line(id), show.Line(a.Msg), s.Paint(show.ToneOf(done.State), show.Line(done.State)))
		})
	})
	return cmd
}

func (s *session) revokeTag(ctx context.Context, r remote.Request, tag string) error {
	if err := s.confirm(ctx, "Revoke all tasks with the tag "+show.Line(tag)+" that have not ended?"); err != nil {
		return err
	}
	a, err := s.request(ctx, r)
	if err != nil || s.json {
		return err
	}
	var done struct {
		Revoked int64 `json:"revoked"`
		Running int64 `json:"running"`
	}
	if err := a.Decode(&done); err != nil {
		return err
	}
	return s.say("%s revoked, %s run their last attempt", show.Count(done.Revoked), show.Count(done.Running))
}
