// Command reports makes reports, in tasks. Its subcommands are api, worker, scheduler, local (all in one process), migrate
// and health: see reports --help.
package main

import "github.com/paidui/paidui/deploy/boot"

func main() { boot.Main(app()) }
