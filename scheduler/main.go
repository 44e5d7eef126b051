// Command scheduler enqueues periodic tasks, each tick once, however many schedulers run.
package main

import (
	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
)

func main() {
	boot.Main(boot.Command(config.Scheduler, "Paidui's scheduler: enqueues periodic tasks", boot.Scheduler))
}
