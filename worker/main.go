// Command worker runs tasks: SMS, flash-sale orders, cache refreshes and whatever else the catalog holds.
package main

import (
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/process"
	"github.com/paidui/paidui/deploy/program"
)

func main() {
	process.Main(program.Command(config.Worker, "Paidui's worker: runs the tasks of its queues", program.Worker))
}
