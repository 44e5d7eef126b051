// Package ctl is the operator's command line: ctl, which asks and tells an API over HTTP, and beside it top, a terminal's
// screen, and new-task, which writes the beginning of a task. A main package adds Commands to its program, and needs nothing
// else of Paidui for them.
//
// The files: ctl.go puts the commands together, session.go is what each works with, list.go pages, repeat.go --watch, and
// flags.go what several read from their flags. The others are named after their commands. Package remote asks the API, and
// show writes.
package ctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/newtask"
	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
	"github.com/paidui/paidui/deploy/ctl/top"
)

// Commands are ctl, top and new-task, for boot.Main or any other cobra command.
func Commands() []*cobra.Command {
	return commands(environment{lookup: os.LookupEnv, now: time.Now, terminal: func(cmd *cobra.Command) show.Terminal {
		return show.Open(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), os.LookupEnv)
	}})
}

// environment is what the commands find around them.
type environment struct {
	lookup   func(string) (string, bool) // of variables, as os.LookupEnv
	now      func() time.Time
	terminal func(*cobra.Command) show.Terminal
}

func commands(e environment) []*cobra.Command {
	root := &cobra.Command{
		Use:   "ctl",
		Short: "Ask and tell a running API: queues, workers, tasks, failures, schedules",
		Long: "Ask and tell a running API, over HTTP. What destroys shows what it would do and asks first; in scripts it wants --yes.\n" +
			"Each command has its own --help.",
		Example: `  PROGRAM ctl queues --watch
  PROGRAM ctl why default_01980d5c-7a4e-7bd2-9f0e-6a4c1e0b7a11
  PROGRAM ctl enqueue demo.add '{"n":1,"m":2}' --watch
  PROGRAM ctl tasks --state FAILURE --since today --json | jq '.tasks[].id'`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().Bool("json", false, "print the data of the API's answers as it came, a line each, for scripts")
	key := root.PersistentFlags()
	key.String("key", "", "")
	_ = key.MarkHidden("key") // it is there
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return refuseKey(cmd) }
	root.AddCommand(
		e.queues(), e.workers(), e.ping(),
		e.tasks(), e.task(), e.why(), e.retry(), e.revoke(), e.enqueue(), e.watch(), e.taskTypes(),
		e.bulk(), e.failures(), e.schedules(), e.audit(),
	)
	outfit(root, helpEnding)
	screen := e.top()
	outfit(screen, helpEnding)
	task := newtask.Command()
	outfit(task, "")
	return []*cobra.Command{root, screen, task}
}

// refuseKey tells why there is no flag for the key.
func refuseKey(cmd *cobra.Command) error {
	if f := cmd.Flags().Lookup("key"); f != nil && f.Changed {
		return remote.UsageErrorf("--key: a key in an argument can be read by every user of the machine, and stays in the shell's history:"+
			" put it into %s, or its file's name into %s", remote.KeyVariable, remote.KeyFileVariable)
	}
	return nil
}

const helpWidth = 100 // columns

const helpEnding = `
Environment:
  PAIDUI_URL                 where the API is (default http://127.0.0.1:8000)
  PAIDUI_OPERATOR_KEY        the key of an operator, or of an observer for what only looks
  PAIDUI_OPERATOR_KEY_FILE   a file with the key, instead
  LC_ALL, LC_MESSAGES, LANG  the language of the API's messages: Chinese where it begins with zh, else English
  NO_COLOR                   no colours
Without a key, that of "PROGRAM" running locally is used, in the folder in which it was started.

Exit codes:
  0  done                    4  the API does not answer, or can't now
  1  refused, or failed      5  no key, a wrong one, or one that may not
  2  a wrong argument        6  the task, or the bulk, that was followed is REVOKED
  3  there is no such thing  7  of the task that was followed the end is not known
  130  Ctrl-C before the end
`

// outfit gives a command and those below it how their help looks, and how their mistakes are told.
func outfit(root *cobra.Command, ending string) {
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", helpWidth)))
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		named := func(text string) string { return strings.ReplaceAll(text, "PROGRAM", cmd.Root().Name()) }
		cmd.Example = named(cmd.Example)
		out := cmd.OutOrStdout()
		text := cmd.Long
		if text == "" {
			text = cmd.Short + "."
		}
		fmt.Fprintln(out, named(text)+"\n")
		fmt.Fprint(out, cmd.UsageString())
		fmt.Fprint(out, named(ending))
	})
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return remote.UsageErrorf("%w; see %s --help", err, cmd.CommandPath())
	})
}

// usage makes mistakes in the arguments those of the command line.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return remote.UsageErrorf("%w; see %s --help", err, cmd.CommandPath())
		}
		return nil
	}
}

// run makes a command's RunE of what it does with a session.
func (e environment) run(f func(ctx context.Context, s *session, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, err := e.open(cmd)
		if err != nil {
			return err
		}
		defer s.api.Close()
		err = f(cmd.Context(), s, args)
		if cmd.Context().Err() != nil && errors.Is(err, context.Canceled) {
			return failed(remote.ExitInterrupted, "")
		}
		return err
	}
}

// client makes a client of the API that the environment names.
func (e environment) client(cmd *cobra.Command) (*remote.Client, error) {
	root := cmd.Root()
	access, err := remote.AccessFrom(e.lookup, root.Name())
	if err != nil {
		return nil, err
	}
	return remote.New(remote.Options{
		Access: access, Language: remote.Language(e.lookup), Agent: strings.TrimSuffix(root.Name()+"-ctl/"+root.Version, "/"),
	}), nil
}

// top is the screen.
func (e environment) top() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch queues, workers, what runs and what fails, on a terminal's screen",
		Long: "Watch queues with their rates, workers, what runs and what fails, on a terminal's screen, and act: pause, resume, retry, look.\n" +
			"The key ? lists the keys. It asks the API once a second, and less often while that does not answer.",
		Args: usage(cobra.NoArgs),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		to := e.terminal(cmd)
		if !to.IsOut || !to.IsIn {
			return remote.UsageErrorf("top wants a terminal to draw on and to read keys from: %s ctl queues --watch does without", cmd.Root().Name())
		}
		api, err := e.client(cmd)
		if err != nil {
			return err
		}
		defer api.Close()
		return top.Run(cmd.Context(), api, to)
	}
	return cmd
}
