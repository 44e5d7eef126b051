package boot

import (
	"context"
	"net"
)

// Listen opens addr (host:port; an empty host means every interface, port 0 any free port) for the setting that
// names it. Its errors begin with the setting; that of a taken port is a syscall.EADDRINUSE.
func Listen(ctx context.Context, setting, addr string) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, explainListen(setting, addr, err)
	}
	return ln, nil
}
