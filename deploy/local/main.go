// Command local (built as paidui) is the whole of Paidui in one process, on an embedded Redis and an embedded SQLite.
package main

import (
	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/ctl"
	"github.com/paidui/paidui/deploy/newapp"
	"github.com/paidui/paidui/deploy/shop"
)

func main() {
	cmd := boot.Command(shop.App(), config.Local)
	cmd.AddCommand(newapp.Command(boot.Version()))
	cmd.AddCommand(ctl.Commands()...)
	boot.Execute(cmd)
}
