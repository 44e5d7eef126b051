package boot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// Reservation is an address that a program has taken and does not serve yet. It is safe for concurrent use.
type Reservation struct {
	setting string
	addr    net.Addr

	mu     sync.Mutex
	socket socket // nil once it listens or is closed
	ln     net.Listener
}

// socket is bound to an address. Each of its methods is called once at most.
type socket interface {
	listen() (net.Listener, error) // it is closed afterwards
	Close() error
}

// Reserve takes addr (host:port; an empty host means every interface, port 0 any free port) for the setting that names
// it. Until Listen the system refuses connections, so that a balancer goes elsewhere; where that can't be had, which is
// on Windows, they wait. Its errors are those of Listen, the function.
func Reserve(ctx context.Context, setting, addr string) (*Reservation, error) {
	s, at, err := reserve(ctx, addr)
	if err != nil {
		return nil, explainListen(setting, addr, err)
	}
	return &Reservation{setting: setting, addr: at, socket: s}, nil
}

// Addr is the address with the port that it really has.
func (r *Reservation) Addr() net.Addr { return r.addr }

// Listen begins to take connections. Another process may have begun to listen on the address meanwhile, which is an
// error then. It is called once.
func (r *Reservation) Listen() (net.Listener, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.socket == nil {
		return nil, fmt.Errorf("%s: %w", r.setting, net.ErrClosed)
	}
	ln, err := r.socket.listen()
	r.socket = nil
	if err != nil {
		return nil, explainListen(r.setting, r.addr.String(), err)
	}
	r.ln = ln
	return ln, nil
}

// Close gives the address free, also when it is listened on. It may be called again.
func (r *Reservation) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	if r.socket != nil {
		errs = append(errs, r.socket.Close())
	}
	if r.ln != nil {
		if err := r.ln.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	r.socket, r.ln = nil, nil
	return errors.Join(errs...)
}

// explainListen says in words why addr can't be had.
func explainListen(setting, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: %s is taken by another program: %w", setting, addr, syscall.EADDRINUSE)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: %s needs rights that this user lacks: %w", setting, addr, syscall.EACCES)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s: %s is not an address of this machine: %w", setting, addr, syscall.EADDRNOTAVAIL)
	default:
		return fmt.Errorf("%s: %w", setting, err)
	}
}
