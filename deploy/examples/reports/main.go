// Command reports makes reports, in tasks. Its subcommands are api, worker, scheduler, local (all in one process), migrate,
// health, the operator's ctl and top, and new-task: see reports --help.
package main

import (
	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/ctl"
)

func main() { boot.Main(app(), ctl.Commands()...) }
