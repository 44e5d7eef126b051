package main

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/shop"
)

// The roles that the program starts itself in.
const (
	roleAPI    = "api"
	roleWorker = "worker"
	roleEcho   = "echo"
	roleNoop   = "noop"
	roleSingle = "single"
	roleCrash  = "crash"
)

// roles are the commands of the roles. The API and the worker are the real ones, as their own programs compose them.
func roles() []*cobra.Command {
	return []*cobra.Command{
		boot.Command(shop.App(), config.API),
		boot.Command(shop.App(), config.Worker),
		echoCommand(),
		noopCommand(),
		singleCommand(),
		crashCommand(),
	}
}

// echoCommand serves an empty Echo handler, which is what the API's routes are compared with. With a size it answers JSON
// of so many bytes, which is there already.
func echoCommand() *cobra.Command {
	return &cobra.Command{
		Use:  roleEcho + " ADDRESS [SIZE]",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			e := echo.New()
			e.HideBanner, e.HidePort = true, true
			handler := func(c echo.Context) error { return c.NoContent(http.StatusOK) }
			if len(args) == 2 {
				size, err := strconv.Atoi(args[1])
				if err != nil {
					return err
				}
				body := []byte(`"` + strings.Repeat("x", max(size-2, 0)) + `"`)
				handler = func(c echo.Context) error { return c.JSONBlob(http.StatusOK, body) }
			}
			e.Any("/*", handler)
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

// startEcho runs the empty Echo handler, with the size of its answers where one is given.
func (l *lab) startEcho(ctx context.Context, size ...string) (*child, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	c, err := l.start(roleEcho, append([]string{addr}, size...), nil, nil)
	if err != nil {
		return nil, err
	}
	c.url = "http://" + addr
	return c, c.await(ctx, c.url+"/")
}
