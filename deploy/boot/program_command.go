package boot

import (
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

// Command is the command line of a program: run with its configuration, and the subcommand health.
func Command(p config.Program, short string, run func(context.Context, config.Config) error) *cobra.Command {
	cmd := NewCommand(string(p), short, config.Help(p))
	config.AddFlags(p, cmd.PersistentFlags())
	cmd.RunE = withConfig(p, func(ctx context.Context, cfg config.Config) error {
		logger, err := newLogger(p, cfg)
		if err != nil {
			return err
		}
		logRedis(logger)
		return run(ctx, cfg)
	})
	cmd.AddCommand(healthCommand(p))
	return cmd
}

// withConfig loads the configuration as program p and runs f with it.
func withConfig(p config.Program, f func(context.Context, config.Config) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		cfg, err := config.Load(p, cmd.Flags(), os.Environ(), urlChecks())
		if err != nil {
			return err
		}
		return f(cmd.Context(), cfg)
	}
}

// healthCommand asks a running program of the same configuration, for containers that have no HTTP client.
func healthCommand(p config.Program) *cobra.Command {
	var ready bool
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the running " + string(p) + " whether it is well; exit 1 if not",
		Args:  cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&ready, "ready", false, "ask whether it is ready for work, not only alive")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withConfig(p, func(ctx context.Context, cfg config.Config) error {
			path := "/healthz"
			if ready {
				path = "/readyz"
			}
			return ask(ctx, cmd.OutOrStdout(), cfg.AdminAddr, path)
		})(cmd, args)
	}
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
