package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Listen opens addr (host:port; an empty host means every interface, port 0 any free port) for the setting that
// names it. Its errors begin with the setting; that of a taken port is a syscall.EADDRINUSE.
func Listen(ctx context.Context, setting, addr string) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		return ln, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is taken by another program: %w", setting, addr, syscall.EADDRINUSE)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: %s needs rights that this user lacks: %w", setting, addr, syscall.EACCES)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s: %s is not an address of this machine: %w", setting, addr, syscall.EADDRNOTAVAIL)
	default:
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
}
