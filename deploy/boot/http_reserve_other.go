//go:build !unix

package boot

import (
	"context"
	"net"
)

// waitingListener listens from the beginning and accepts nothing until it is asked for.
type waitingListener struct{ net.Listener }

func reserve(ctx context.Context, addr string) (socket, net.Addr, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	return waitingListener{ln}, ln.Addr(), nil
}

func (l waitingListener) listen() (net.Listener, error) { return l.Listener, nil }
