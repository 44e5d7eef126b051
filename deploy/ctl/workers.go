package ctl

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/describe"
	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

func (e environment) workers() *cobra.Command {
	var p paging
	cmd := &cobra.Command{
		Use:   "workers [NAME]",
		Short: "Who runs what: all workers, or one; resize, pause, drain them",
		Long:  "Who runs what: all workers, or one. NAME is a worker's name or id; commands to one of several that share a name want the id.",
		Args:  usage(cobra.MaximumNArgs(1)),
		Example: `  PROGRAM ctl workers
  PROGRAM ctl workers resize worker-1 64
  PROGRAM ctl workers drain --host vm-3 --wait`,
		ValidArgsFunction: e.complete("/v1/workers", "workers", 0, false),
	}
	p.flags(cmd, 500)
	watchFlag(cmd)
	show := func(ctx context.Context, s *session, args []string) error {
		return s.repeat(ctx, func(ctx context.Context, s *session) error {
			if len(args) == 1 {
				return s.showWorker(ctx, args[0])
			}
			return s.listWorkers(ctx, p)
		})
	}
	cmd.RunE = e.run(show)
	one := &cobra.Command{
		Use: "show NAME", Short: "One worker, whatever its name is", Args: usage(cobra.ExactArgs(1)), RunE: e.run(show),
		ValidArgsFunction: e.complete("/v1/workers", "workers", 0, false),
	}
	watchFlag(one)
	cmd.AddCommand(one, e.workerResize(), e.workerQueues(), e.workerLogLevel(), e.workerDrain(),
		e.workerSwitch("pause", "Have workers begin no task, until they are resumed"),
		e.workerSwitch("resume", "Have workers take tasks again"))
	return cmd
}

func (s *session) listWorkers(ctx context.Context, p paging) error {
	rows, next, err := gather[remote.Worker](ctx, s, "/v1/workers", "workers", nil, p, 100)
	if err != nil || s.none("worker is up", len(rows), next) {
		return err
	}
	t := show.Table{Columns: []show.Column{
		{Name: "WORKER", Least: 10}, {Name: "HOST", Least: 6}, {Name: "PID", Right: true}, {Name: "PHASE"}, {Name: "RUNNING", Right: true},
		{Name: "SLOTS", Right: true}, {Name: "UP", Right: true}, {Name: "QUEUES", Least: 8}, {Name: "LONGEST", Least: 10}, {Name: "VERSION", Least: 7},
	}}
	for _, w := range rows {
		longest := ""
		if len(w.Runs) > 0 {
			longest = show.Ago(w.Runs[0].Since, s.now()) + " " + w.Runs[0].Task
		}
		t.Add(w.Name, w.Host, w.PID, show.Cell{Text: w.Phase, Tone: show.ToneOf(w.Phase)}, w.Running, w.Slots, show.Ago(w.Since, s.now()),
			describe.QueueWeights(w.Queues), longest, w.Version)
	}
	if err := s.table(&t); err != nil {
		return err
	}
	s.more(next, len(rows))
	return nil
}

func (s *session) showWorker(ctx context.Context, name string) error {
	a, err := s.request(ctx, remote.Request{Method: http.MethodGet, Path: remote.Path("v1", "workers", name)})
	if err != nil || s.json {
		return err
	}
	var w remote.Worker
	if err := a.Decode(&w); err != nil {
		return err
	}
	return s.printWorker(w)
}

func (s *session) printWorker(w remote.Worker) error {
	if err := show.PrintFields(s.Terminal, describe.Worker(w, s.now())...); err != nil || len(w.Runs) == 0 {
		return err
	}
	if err := s.say(""); err != nil {
		return err
	}
	return s.table(describe.Runs(w.Runs, s.now()))
}

// commandFlags give a command to a worker its flag.
func commandFlags(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "answer-within", 10*time.Second, "how long the worker may take to answer, up to 30s; then the command is withdrawn")
}

// command tells a worker to do something. It is answered when that has taken effect.
func (s *session) command(ctx context.Context, name, verb string, wait time.Duration, body any) (remote.Worker, remote.Answer, error) {
	var w remote.Worker
	if wait <= 0 || wait > 30*time.Second {
		return w, remote.Answer{}, remote.UsageErrorf("--answer-within: %s is not between 0 and 30s", wait)
	}
	a, err := s.request(ctx, remote.Request{
		Method: http.MethodPost, Path: remote.Path("v1", "workers", name, verb), Query: values("wait", wait.String()), Body: body,
		Timeout: wait + standardPatience,
	})
	if err == nil {
		err = a.Decode(&w)
	}
	return w, a, err
}

// standardPatience is what an answer may take beyond what the API itself waits.
const standardPatience = 10 * time.Second

// sayWorker tells how a worker is after a command.
func (s *session) sayWorker(w remote.Worker, a remote.Answer) error {
	if s.json {
		return nil
	}
	return s.say("%s: %s; %s, %d slots, %d running, queues %s", show.Line(w.Name), show.Line(a.Msg), show.Line(w.Phase), w.Slots, w.Running,
		show.Line(describe.QueueWeights(w.Queues)))
}

func (e environment) workerResize() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "resize NAME SLOTS", Short: "Change how many tasks a worker runs at a time; those that run finish", Args: usage(cobra.ExactArgs(2)),
		ValidArgsFunction: e.complete("/v1/workers", "workers", 0, false),
	}
	commandFlags(cmd, &wait)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		slots, err := strconv.Atoi(args[1])
		if err != nil || slots < 1 {
			return remote.UsageErrorf("SLOTS: %q is no number from 1", args[1])
		}
		w, a, err := s.command(ctx, args[0], "resize", wait, map[string]int{"concurrency": slots})
		if err != nil {
			return err
		}
		return s.sayWorker(w, a)
	})
	return cmd
}

func (e environment) workerQueues() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:               "queues NAME QUEUE[:WEIGHT],...",
		Short:             "Have a worker take tasks from these queues alone, by their weights",
		Example:           "  PROGRAM ctl workers queues worker-1 default:3,low",
		Args:              usage(cobra.ExactArgs(2)),
		ValidArgsFunction: e.complete("/v1/workers", "workers", 0, false),
	}
	commandFlags(cmd, &wait)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		queues, err := parseQueues(args[1])
		if err != nil {
			return err
		}
		w, a, err := s.command(ctx, args[0], "queues", wait, map[string]any{"queues": queues})
		if err != nil {
			return err
		}
		return s.sayWorker(w, a)
	})
	return cmd
}

// parseQueues reads queues as -Q of the worker has them.
func parseQueues(text string) (map[string]int, error) {
	queues := make(map[string]int)
	for part := range strings.SplitSeq(text, ",") {
		name, weight, given := strings.Cut(strings.TrimSpace(part), ":")
		n := 1
		if given {
			var err error
			if n, err = strconv.Atoi(weight); err != nil || n < 1 {
				return nil, remote.UsageErrorf("QUEUE:WEIGHT: the weight of %q is no number from 1", name)
			}
		}
		if name == "" {
			return nil, remote.UsageErrorf("QUEUE:WEIGHT: a name is missing in %q", text)
		}
		if _, twice := queues[name]; twice {
			return nil, remote.UsageErrorf("QUEUE:WEIGHT: %q is there twice", name)
		}
		queues[name] = n
	}
	return queues, nil
}

var logLevels = []string{"debug", "info", "warn", "error"}

func (e environment) workerLogLevel() *cobra.Command {
	var wait time.Duration
	names := e.complete("/v1/workers", "workers", 0, false)
	cmd := &cobra.Command{
		Use: "log-level NAME " + strings.Join(logLevels, "|"), Short: "Change from which level on a worker's process logs", Args: usage(cobra.ExactArgs(2)),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return logLevels, cobra.ShellCompDirectiveNoFileComp
			}
			return names(cmd, args, prefix)
		},
	}
	commandFlags(cmd, &wait)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		w, a, err := s.command(ctx, args[0], "log-level", wait, map[string]string{"level": args[1]})
		if err != nil || s.json {
			return err
		}
		return s.say("%s: %s; it logs from %s on", show.Line(w.Name), show.Line(a.Msg), show.Line(w.LogLevel))
	})
	return cmd
}

// workerSwitch is pause or resume.
func (e environment) workerSwitch(verb, short string) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use: verb + " NAME...", Short: short, Args: usage(cobra.MinimumNArgs(1)),
		ValidArgsFunction: e.complete("/v1/workers", "workers", 0, true),
	}
	commandFlags(cmd, &wait)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		return s.each(ctx, args, func(name string) error {
			w, a, err := s.command(ctx, name, verb, wait, nil)
			if err != nil {
				return err
			}
			return s.sayWorker(w, a)
		})
	})
	return cmd
}
