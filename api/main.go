// Command api is the HTTP API: it enqueues tasks, answers from the cache, and tells what became of a task.
package main

import (
	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
)

func main() {
	cmd := boot.Command(config.API, "Paidui's HTTP API: enqueues tasks and answers what became of them", boot.API)
	cmd.AddCommand(boot.DatabaseCommands()...)
	boot.Main(cmd)
}
