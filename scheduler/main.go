// Command scheduler enqueues periodic tasks, each tick once, however many schedulers run.
package main

import (
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/process"
	"github.com/paidui/paidui/deploy/program"
)

func main() {
	process.Main(program.Command(config.Scheduler, "Paidui's scheduler: enqueues periodic tasks", program.Scheduler))
}
