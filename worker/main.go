// Command worker runs tasks: SMS, flash-sale orders, cache refreshes and whatever else the catalog holds.
package main

import (
	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/shop"
)

func main() { boot.Execute(boot.Command(shop.App(), config.Worker)) }
