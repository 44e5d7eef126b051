// Command local (built as paidui) is the whole of Paidui in one process, on an embedded Redis and an embedded SQLite.
package main

import (
	"context"
	"os"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
)

func main() {
	boot.Main(boot.Command(config.Local, "Paidui in one process: API, worker and scheduler, for development",
		func(ctx context.Context, cfg config.Config) error { return boot.Local(ctx, cfg, os.Stdout) }))
}
