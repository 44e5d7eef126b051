package boot

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/config"
)

// Main runs the application as the whole program and exits: see Program and Execute.
func Main(app App, more ...*cobra.Command) { Execute(Program(app, more...)) }

// Program is the application's command line: api, worker, scheduler and local, which run; migrate, and seed where the
// application has something to fill a database with; health; and more, as the operator's commands of package deploy/ctl,
// which are not here by themselves, for a program in service does without a terminal's screen.
func Program(app App, more ...*cobra.Command) *cobra.Command {
	schema, err := app.Schema()
	if err != nil {
		return brokenCommand(app.Name, err)
	}
	root := NewCommand(app.Name, "Run "+app.Name+", or a part of it", "")
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	for _, p := range []config.Program{config.API, config.Worker, config.Scheduler, config.Local} {
		root.AddCommand(programCommand(app, schema, p, string(p)))
	}
	root.AddCommand(databaseCommands(app, schema)...)
	health := healthCommand(schema, config.Local, app.Name)
	SetSettings(health, schema.Help(config.Local))
	schema.AddFlags(config.Local, health.Flags())
	root.AddCommand(health)
	root.AddCommand(more...)
	return root
}

// Command is the command line of one program of the application, for those who have a main each, and of all in one
// process: it runs with its configuration, and has the subcommand health; those of api are migrate and seed, too.
func Command(app App, p config.Program) *cobra.Command {
	schema, err := app.Schema()
	if err != nil {
		return brokenCommand(app.programName(p), err)
	}
	return programCommand(app, schema, p, app.programName(p))
}

// brokenCommand tells the author of a program what is wrong with it, whatever it is called with.
func brokenCommand(name string, err error) *cobra.Command {
	return &cobra.Command{
		Use:                cmp.Or(name, "app"),
		DisableFlagParsing: true,
		SilenceUsage:       true,
		SilenceErrors:      true,
		Args:               cobra.ArbitraryArgs,
		RunE:               func(*cobra.Command, []string) error { return err },
	}
}

func programCommand(app App, schema *config.Schema, p config.Program, use string) *cobra.Command {
	cmd := NewCommand(use, shortOf(app.Name, p), schema.Help(p))
	schema.AddFlags(p, cmd.Flags()) // and not persistent: a command that a main adds has flags of its own
	cmd.RunE = withConfig(schema, p, func(ctx context.Context, cfg config.Config) error {
		logger, _, err := newLogger(app.programName(p), cfg)
		if err != nil {
			return err
		}
		logRedis(logger)
		switch p {
		case config.API:
			return API(ctx, app, cfg)
		case config.Worker:
			return Worker(ctx, app, cfg)
		case config.Scheduler:
			return Scheduler(ctx, app, cfg)
		default:
			return Local(ctx, app, cfg, cmd.OutOrStdout())
		}
	})
	health := healthCommand(schema, p, app.programName(p))
	schema.AddFlags(p, health.Flags())
	cmd.AddCommand(health)
	if p == config.API {
		cmd.AddCommand(databaseCommands(app, schema)...)
	}
	return cmd
}

// shortOf is what a program does, in one line.
func shortOf(name string, p config.Program) string {
	switch p {
	case config.API:
		return "The HTTP API of " + name + ": enqueues tasks and answers what became of them"
	case config.Worker:
		return "The worker of " + name + ": runs the tasks of its queues"
	case config.Scheduler:
		return "The scheduler of " + name + ": enqueues periodic tasks"
	default:
		return "All of " + name + " in one process: API, worker and scheduler, for development"
	}
}

// withConfig loads the configuration as program p and runs f with it.
func withConfig(schema *config.Schema, p config.Program, f func(context.Context, config.Config) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		cfg, err := schema.Load(p, cmd.Flags(), os.Environ())
		if err != nil {
			return err
		}
		return f(cmd.Context(), cfg)
	}
}

// healthCommand asks a running program of the same configuration, for containers that have no HTTP client.
func healthCommand(schema *config.Schema, p config.Program, name string) *cobra.Command {
	var ready bool
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the running " + name + " whether it is well; exit 1 if not",
		Args:  cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&ready, "ready", false, "ask whether it is ready for work, not only alive")
	cmd.RunE = withConfig(schema, p, func(ctx context.Context, cfg config.Config) error {
		path := "/healthz"
		if ready {
			path = "/readyz"
		}
		return ask(ctx, cmd.OutOrStdout(), cfg.AdminAddr, path)
	})
	return cmd
}

// healthLimit bounds the question of the health command.
const healthLimit = 3 * time.Second

func ask(ctx context.Context, out io.Writer, addr, path string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("PAIDUI_ADMIN_ADDR: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	text := strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	_, err = fmt.Fprintln(out, text)
	return err
}
