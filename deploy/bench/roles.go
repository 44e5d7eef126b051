package main

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/program"
)

// The roles that the program starts itself in.
const (
	roleAPI    = "api"
	roleWorker = "worker"
	roleEcho   = "echo"
	roleNoop   = "noop"
	roleSingle = "single"
)

// roles are the commands of the roles. The API and the worker are the real ones, as their own programs compose them.
func roles() []*cobra.Command {
	return []*cobra.Command{
		program.Command(config.API, "The API", program.API),
		program.Command(config.Worker, "The worker", program.Worker),
		echoCommand(),
		noopCommand(),
		singleCommand(),
	}
}

// echoCommand serves an empty Echo handler, which is what the API's routes are compared with.
func echoCommand() *cobra.Command {
	return &cobra.Command{
		Use:  roleEcho + " ADDRESS",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e := echo.New()
			e.HideBanner, e.HidePort = true, true
			e.Any("/*", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
			ended := make(chan error, 1)
			go func() { ended <- e.Start(args[0]) }()
			select {
			case err := <-ended:
				return err
			case <-cmd.Context().Done():
				return e.Close()
			}
		},
	}
}

// startEcho runs the empty Echo handler.
func (l *lab) startEcho(ctx context.Context) (*child, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	c, err := l.start(roleEcho, []string{addr}, nil, nil)
	if err != nil {
		return nil, err
	}
	c.url = "http://" + addr
	return c, c.await(ctx, c.url+"/")
}
