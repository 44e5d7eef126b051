package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/boot"
)

// options are what the command line says.
type options struct {
	only       []string
	quick      bool
	json       string // the file for the results; "" for none
	cpuprofile string // the file for the profile; "" for none
	logLevel   string
	peers      string // the folder of the peers' scripts; "" runs none
}

func command() *cobra.Command {
	var opt options
	cmd := boot.NewCommand("bench", "Measure Paidui against plain asynq, on private servers", "")
	cmd.Long = cmd.Short + ".\n\nRows:\n" + describe(rows())
	flags := cmd.Flags()
	flags.StringSliceVar(&opt.only, "only", nil, "run these `rows` alone, as run,enqueue; may be repeated")
	flags.BoolVar(&opt.quick, "quick", false, "smaller numbers: a minute or two in all, and less certain")
	flags.StringVar(&opt.json, "json", "", "write the results to this `file`, too")
	flags.StringVar(&opt.peers, "peers", "", "run Celery and BullMQ, too, by the scripts in this `folder`")
	flags.StringVar(&opt.logLevel, "log-level", "warn", "of all programs that are measured: debug|info|warn|error")
	cmd.PersistentFlags().StringVar(&opt.cpuprofile, "cpuprofile", "",
		"write CPU profiles to this `file`, and those of the processes it starts beside it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		chosen, err := choose(rows(), opt.only)
		if err != nil {
			return err
		}
		boot.CollectLess() // as Paidui's programs do; plain asynq has the same process
		return profiled(opt.cpuprofile, func() error {
			return bench(cmd.Context(), chosen, opt, cmd.OutOrStdout(), cmd.ErrOrStderr())
		})
	}
	for _, role := range roles() {
		run := role.RunE
		role.RunE = func(cmd *cobra.Command, args []string) error {
			return profiled(opt.cpuprofile, func() error { return run(cmd, args) })
		}
		role.Hidden = true
		cmd.AddCommand(role)
	}
	return cmd
}

func describe(all []row) string {
	var text strings.Builder
	for _, r := range all {
		fmt.Fprintf(&text, "  %-15s %s\n", r.name, r.about)
	}
	return text.String()
}

// choose picks the rows with the names, in the rows' own order; without names, all.
func choose(all []row, names []string) ([]row, error) {
	if len(names) == 0 {
		return all, nil
	}
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[strings.TrimSpace(name)] = true
	}
	var chosen []row
	known := make([]string, len(all))
	for i, r := range all {
		known[i] = r.name
		if wanted[r.name] {
			chosen = append(chosen, r)
			delete(wanted, r.name)
		}
	}
	var errs []error
	for name := range wanted {
		errs = append(errs, fmt.Errorf("--only: there is no row %q; the rows are %s", name, strings.Join(known, ", ")))
	}
	return chosen, errors.Join(errs...)
}

// causeOf is why ctx ended, so that what broke because of it is not taken for an error.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
