// Command api is the HTTP API: it enqueues tasks, answers from the cache, and tells what became of a task.
package main

import (
	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/shop"
)

func main() { boot.Execute(boot.Command(shop.App(), config.API)) }
