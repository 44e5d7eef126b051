// Command scheduler enqueues periodic tasks, each tick once, however many schedulers run.
package main

import (
	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/shop"
)

func main() { boot.Execute(boot.Command(shop.App(), config.Scheduler)) }
