package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/testenv"
)

// options are what the command line says.
type options struct {
	seed    uint64
	minutes float64
	bin     string // the folder of the programs; "" builds them
	keep    bool
	plan    bool
}

func command() *cobra.Command {
	var opt options
	cmd := boot.NewCommand("chaos", "Break a running Paidui by a plan, and judge whether it kept its promises", "")
	cmd.Long = cmd.Short + `.

It starts two APIs, three workers and two schedulers on a private redis-server (which keeps every write) and a private
mariadbd. For so many minutes clients send requests while processes are killed, frozen and restarted, servers and networks
go away, and Redis is full; in the last quarter Redis loses its data, too. Each of the two acts ends with a while in which
nothing is broken, until all is quiet. Then what the clients were told is compared with what the stores hold.

The exit status is 1 when something does not fit. The logs of all programs are then kept.`
	flags := cmd.Flags()
	flags.Uint64Var(&opt.seed, "seed", 7, "what the plan is made of: the same `number` makes the same plan")
	flags.Float64Var(&opt.minutes, "minutes", 10, "how long requests are sent and things are broken, in `minutes`, 0.5 at least")
	flags.StringVar(&opt.bin, "bin", "", "the `folder` that has api, worker and scheduler; empty: they are built")
	flags.BoolVar(&opt.keep, "keep", false, "keep the logs without a finding, too")
	flags.BoolVar(&opt.plan, "plan", false, "show the plan's faults and do nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if opt.minutes < 0.5 || opt.minutes > 24*60 {
			return fmt.Errorf("--minutes: %g is not 0.5 to 1440", opt.minutes)
		}
		p := newPlan(opt.seed, time.Duration(opt.minutes*float64(time.Minute)))
		if opt.plan {
			printPlan(cmd.OutOrStdout(), p)
			return nil
		}
		if opt.bin == "" {
			built, err := testenv.Build(".", false)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, built.Close()) }()
			opt.bin = built.Dir
		}
		return run(cmd.Context(), p, opt, cmd.OutOrStdout())
	}
	return cmd
}
