// Command api is the HTTP API: it enqueues tasks, answers from the cache, and tells what became of a task.
package main

import (
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/process"
	"github.com/paidui/paidui/deploy/program"
)

func main() {
	cmd := program.Command(config.API, "Paidui's HTTP API: enqueues tasks and answers what became of them", program.API)
	cmd.AddCommand(program.DatabaseCommands()...)
	process.Main(cmd)
}
