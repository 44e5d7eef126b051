// Command worker runs tasks: SMS, flash-sale orders, cache refreshes and whatever else the catalog holds.
package main

import (
	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
)

func main() {
	boot.Main(boot.Command(config.Worker, "Paidui's worker: runs the tasks of its queues", boot.Worker))
}
