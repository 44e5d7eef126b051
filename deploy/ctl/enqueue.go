package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

// callFlags are the options of a call that have flags of their own; the rest is for --option.
type callFlags struct {
	id, queue, in, at, expires, priority, timeout, unique string
	retries                                               int
	durable, follow                                       bool
	tags, headers, options                                []string
}

func (e environment) enqueue() *cobra.Command {
	var f callFlags
	cmd := &cobra.Command{
		Use:   "enqueue TASK [ARGUMENTS | -]",
		Short: "Enqueue a task, with its arguments as JSON, and print its id",
		Long: "Enqueue a task, and print its id. ARGUMENTS are a JSON object, {} when left out, or - to read them from the input. Exit code 1\n" +
			"says that the task is there already, by its id or as a unique one.",
		Args: usage(cobra.RangeArgs(1, 2)),
		Example: `  PROGRAM ctl enqueue demo.add '{"n":1,"m":2}'
  PROGRAM ctl enqueue demo.add '{"n":1,"m":2}' --in 10s --watch
  PROGRAM ctl enqueue demo.add - --option backoff='{"base":"1s","cap":"1m"}' < args.json`,
		ValidArgsFunction: e.complete("/v1/task-types", "task_types", 0, false),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.id, "id", "", "its id; made when left out")
	flags.StringVar(&f.queue, "queue", "", "the `name` of its queue, instead of the definition's")
	flags.StringVar(&f.in, "in", "", "not before a `duration` from now, as 10s")
	flags.StringVar(&f.at, "at", "", "not before a `time`, as RFC 3339")
	flags.StringVar(&f.expires, "expires", "", "not after a `time` or duration")
	flags.StringVar(&f.priority, "priority", "", "high, normal or low")
	flags.IntVar(&f.retries, "max-retries", -1, "attempts after the first, instead of the definition's")
	flags.StringVar(&f.timeout, "timeout", "", "the soft limit of an attempt, as a `duration`")
	flags.StringVar(&f.unique, "unique-for", "", "refuse the same task for a `duration`")
	flags.BoolVar(&f.durable, "durable", false, "survive the loss of all that Redis holds")
	flags.StringArrayVar(&f.tags, "tag", nil, "a `tag`; may be given again")
	flags.StringArrayVar(&f.headers, "header", nil, "a header, as `name=value`; may be given again")
	flags.StringArrayVar(&f.options, "option", nil, "any option of POST /v1/tasks, as `name=JSON`; may be given again")
	flags.BoolVar(&f.follow, "watch", false, "follow it to its end, as watch does")
	flags.Lookup("max-retries").DefValue = ""
	_ = cmd.RegisterFlagCompletionFunc("priority", cobra.FixedCompletions([]string{"high", "normal", "low"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		call, err := f.call(cmd, s, args)
		if err != nil {
			return err
		}
		a, err := s.api.Do(ctx, remote.Request{Method: http.MethodPost, Path: "/v1/tasks", Body: call})
		if err != nil {
			return err
		}
		err = s.sayMade(a)
		if err != nil || !f.follow {
			return err
		}
		return s.follow(ctx, a.TaskID)
	})
	return cmd
}

// call is the request's body.
func (f callFlags) call(cmd *cobra.Command, s *session, args []string) (map[string]any, error) {
	call := map[string]any{"task": args[0]}
	if len(args) == 2 {
		raw, err := readJSON("ARGUMENTS", args[1], s.In)
		if err != nil {
			return nil, err
		}
		call["args"] = raw
	}
	for name, text := range map[string]string{
		"id": f.id, "queue": f.queue, "countdown": f.in, "eta": f.at, "expires": f.expires, "priority": f.priority, "timeout": f.timeout, "unique_for": f.unique,
	} {
		if text != "" {
			call[name] = text
		}
	}
	if cmd.Flags().Changed("max-retries") {
		call["max_retries"] = f.retries
	}
	if f.durable {
		call["durable"] = true
	}
	if len(f.tags) > 0 {
		call["tags"] = f.tags
	}
	if len(f.headers) > 0 {
		headers := make(map[string]string)
		for _, text := range f.headers {
			name, value, ok := strings.Cut(text, "=")
			if !ok {
				return nil, remote.UsageErrorf("--header: %q is not of the form name=value", text)
			}
			headers[name] = value
		}
		call["headers"] = headers
	}
	for _, text := range f.options {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, remote.UsageErrorf("--option: %q is not of the form name=JSON", text)
		}
		if _, twice := call[name]; twice {
			return nil, remote.UsageErrorf("--option: %s is given twice", name)
		}
		if json.Valid([]byte(value)) {
			call[name] = json.RawMessage(value)
		} else {
			call[name] = value
		}
	}
	return call, nil
}

// sayMade prints the id of a task that was made. One that was there before is an error, with which its id is printed all the same.
func (s *session) sayMade(a remote.Answer) error {
	for _, w := range a.Warnings {
		s.note("%s", show.Line(w.Msg))
	}
	made := a.Code != remote.Refused
	var err error
	if s.json {
		encoded, encodeErr := json.Marshal(madeTask{a.TaskID, made, a.Warnings})
		err = errors.Join(encodeErr, s.printJSON(encoded))
	} else {
		err = s.say("%s", show.Line(a.TaskID))
	}
	if err == nil && !made {
		return failed(remote.ExitFailed, "%s", show.Line(a.Msg))
	}
	return err
}
