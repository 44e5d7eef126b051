package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

// yesFlag gives a command --yes, which its run has s.confirm ask for.
func yesFlag(cmd *cobra.Command) {
	cmd.Flags().BoolP("yes", "y", false, "do it without asking")
}

// moment reads a time of the past or the future: RFC 3339, a date or a date and time of the local zone, today, now, or how long
// ago, as 90m, 24h, 7d.
func moment(flag, text string, now time.Time) (time.Time, error) {
	switch text {
	case "now":
		return now, nil
	case "today":
		y, m, d := now.Local().Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.Local), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	if d, err := span(text); err == nil {
		return now.Add(-d), nil
	}
	return time.Time{}, remote.UsageErrorf("--%s: %q is no time: give one as 2006-01-02T15:04:05Z, 2006-01-02, today, or how long ago as 90m, 24h, 7d", flag, text)
}

// span reads a duration, which may be in days.
func span(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > 36_500 {
			return 0, errors.New("it is no number of days")
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("it is less than nothing")
	}
	return d, err
}

// states are those of GET /v1/tasks.
var states = []string{"PENDING", "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE", "REVOKED", "LOST", "running"}

// filterFlags give a command the filters of tasks.
func filterFlags(cmd *cobra.Command, f *remote.Filter) {
	flags := cmd.Flags()
	flags.StringVar(&f.State, "state", "", "those in the `state`: "+strings.Join(states, ", "))
	flags.StringVar(&f.Task, "task", "", "those of the task of that `name`, as demo.add")
	flags.StringVar(&f.Queue, "queue", "", "those of the queue of that `name`")
	flags.StringVar(&f.Tag, "tag", "", "those with the `tag`")
	flags.StringVar(&f.Since, "since", "", "those enqueued since a `time`: today, 24h, 7d (ago), 2006-01-02, or RFC 3339")
	flags.StringVar(&f.Until, "until", "", "those enqueued before a `time`")
	flags.StringVarP(&f.Q, "search", "s", "", "those with these `words` in arguments, result or error")
	flags.StringVar(&f.ErrorGroup, "error-group", "", "those that failed alike, by the `group` that failures shows")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(states, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// settle makes the filter what the API takes.
func settle(f remote.Filter, now time.Time) (remote.Filter, error) {
	if f.State != "" {
		at := slices.IndexFunc(states, func(s string) bool { return strings.EqualFold(s, f.State) })
		if at < 0 {
			return f, remote.UsageErrorf("--state: %q is none of %s", f.State, strings.Join(states, ", "))
		}
		f.State = states[at]
	}
	for flag, text := range map[string]*string{"since": &f.Since, "until": &f.Until} {
		if *text == "" {
			continue
		}
		t, err := moment(flag, *text, now)
		if err != nil {
			return f, err
		}
		*text = t.UTC().Format(time.RFC3339)
	}
	return f, nil
}

// query is the filter as parameters.
func queryOf(f remote.Filter) url.Values {
	return values("state", f.State, "task", f.Task, "queue", f.Queue, "tag", f.Tag, "since", f.Since, "until", f.Until, "q", f.Q,
		"error_group", f.ErrorGroup)
}

// values are parameters by name and value, without those that are empty.
func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

const maxInput = 4 << 20 // bytes of standard input or a file, which is what the API takes

// readJSON reads JSON from an argument, or from in for "-".
func readJSON(name, text string, in io.Reader) (json.RawMessage, error) {
	if text == "-" {
		content, err := io.ReadAll(io.LimitReader(in, maxInput+1))
		if err != nil {
			return nil, err
		}
		if len(content) > maxInput {
			return nil, remote.UsageErrorf("%s: the input is larger than %d bytes", name, maxInput)
		}
		text = string(content)
	}
	if !json.Valid([]byte(text)) {
		return nil, remote.UsageErrorf("%s: it is not JSON: %s", name, show.Line(show.Cut(text, 60)))
	}
	return json.RawMessage(text), nil
}

const completionPatience = 2 * time.Second

// complete offers the names of things that the API has as the argument at place n, or at any from n with many.
func (e environment) complete(path, things string, n int, many bool) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) != n && (!many || len(args) < n) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		api, err := e.client(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer api.Close()
		ctx := cmd.Root().Context()
		if ctx == nil {
			ctx = context.Background()
		}
		a, err := api.Do(ctx, remote.Request{Method: "GET", Path: path, Timeout: completionPatience})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		l, err := readList(a, things)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, raw := range l.rows {
			var thing struct{ Name string }
			if json.Unmarshal(raw, &thing) == nil && thing.Name != "" && !slices.Contains(names, thing.Name) {
				names = append(names, thing.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
