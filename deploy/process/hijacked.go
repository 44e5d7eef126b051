package process

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// hijacked are the connections that handlers have taken over and not closed. http.Server forgets those.
type hijacked struct {
	mu    sync.Mutex
	conns map[*watchedConn]struct{}
	none  chan struct{} // closed when there are none; nil while nobody waits
}

// watch makes the connections of a listener known when they close.
func (h *hijacked) watch(ln net.Listener) net.Listener { return &watchedListener{ln, h} }

// changed is a server's ConnState.
func (h *hijacked) changed(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*watchedConn); ok && state == http.StateHijacked {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.conns == nil {
			h.conns = make(map[*watchedConn]struct{})
		}
		h.conns[c] = struct{}{}
	}
}

func (h *hijacked) closed(c *watchedConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
	if len(h.conns) == 0 && h.none != nil {
		close(h.none)
		h.none = nil
	}
}

// wait returns when there is no such connection, or closes those that are left when ctx ends and returns its error.
func (h *hijacked) wait(ctx context.Context) error {
	h.mu.Lock()
	if len(h.conns) == 0 {
		h.mu.Unlock()
		return nil
	}
	none := make(chan struct{})
	h.none = none
	h.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	left := make([]net.Conn, 0, len(h.conns))
	for c := range h.conns {
		left = append(left, c.Conn)
	}
	h.mu.Unlock()
	for _, c := range left {
		_ = c.Close() // its handler sees it
	}
	return ctx.Err()
}

type watchedListener struct {
	net.Listener
	hijacked *hijacked
}

func (l *watchedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &watchedConn{conn, l.hijacked}, nil
}

type watchedConn struct {
	net.Conn
	hijacked *hijacked
}

func (c *watchedConn) Close() error {
	err := c.Conn.Close()
	c.hijacked.closed(c)
	return err
}

// CloseWrite is for http.Server, which so lets a client read its answer before the connection is gone.
func (c *watchedConn) CloseWrite() error { return closeWrite(c.Conn) }

func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
