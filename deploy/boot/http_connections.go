package boot

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// ConnectionLimits bounds the connections that a server has open at once. The zero value has no limit.
type ConnectionLimits struct {
	Max        int            // in all; 0 for no limit
	PerAddress int            // of one IPv4 address, or of the /64 that an IPv6 customer has; 0 for no limit
	Exempt     []netip.Prefix // what the limit by address does not hold for: proxies, behind which clients are many
}

// connections are those of one server from accept to close, also the ones that handlers have taken over, which
// http.Server forgets. It is safe for concurrent use.
type connections struct {
	limits  ConnectionLimits
	pressed time.Duration // what a connection may take to send its first header when there is no room for others
	metrics *connectionMetrics
	logger  *slog.Logger

	mu       sync.Mutex
	number   int
	peers    map[netip.Addr]*peer // that have connections
	hijacked int
	none     chan struct{} // closed when none is hijacked any more; nil while nobody waits
	futile   time.Time     // when nothing was found to close, of all
	told     time.Time     // when a refusal was last logged
}

// peer is one address, with its connections. connections.mu guards it.
type peer struct {
	exempt bool
	open   map[*connection]struct{}
	futile time.Time // as that of connections, of this address
}

// connection is the innermost layer above the socket, so that closing it never waits for the client.
type connection struct {
	net.Conn
	all      *connections
	addr     netip.Addr
	state    atomic.Int64 // since when in Unix ns, with the http.ConnState in place of the lowest bits
	hijacked bool         // guarded by connections.mu
}

const stateBits = 7

func (c *connection) mark(state http.ConnState, now time.Time) {
	c.state.Store(now.UnixNano()&^stateBits | int64(state))
}

// inState is the connection's state, and for how long it has been in it.
func (c *connection) inState(now time.Time) (http.ConnState, time.Duration) {
	state := c.state.Load()
	return http.ConnState(state & stateBits), time.Duration(now.UnixNano() - state&^stateBits)
}

// Close may be called again.
func (c *connection) Close() error {
	err := c.Conn.Close()
	c.all.forget(c)
	return err
}

// CloseWrite is for http.Server, which so lets a client read its answer before the connection is gone.
func (c *connection) CloseWrite() error { return closeWrite(c.Conn) }

func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// connectionUnder finds the innermost layer of what http.Server has.
func connectionUnder(conn net.Conn) *connection {
	for {
		if c, ok := conn.(*connection); ok {
			return c
		}
		layer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = layer.NetConn()
	}
}

// listen makes a listener whose connections are counted and bounded. Every layer above must have the method NetConn.
func (s *connections) listen(ln net.Listener) net.Listener { return &countedListener{ln, s} }

type countedListener struct {
	net.Listener
	all *connections
}

// Accept closes at once what is beyond the limits. When the process has no descriptor left, it closes what can be spared,
// and http.Server, which gets the error, soon comes again.
func (l *countedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			if outOfDescriptors(err) {
				l.all.relieve(time.Now())
			}
			return nil, err
		}
		if c := l.all.admit(conn, time.Now()); c != nil {
			return c, nil
		}
		_ = conn.Close() // nothing was sent or read
	}
}

// changed is the server's ConnState. A connection stays in http.StateNew until its first request's header has come, TLS
// handshake included, and in http.StateIdle until that of the next one has.
func (s *connections) changed(conn net.Conn, state http.ConnState) {
	c := connectionUnder(conn)
	if c == nil {
		return
	}
	c.mark(state, time.Now())
	if state == http.StateHijacked {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, open := s.peers[c.addr].connections()[c]; open {
			c.hijacked = true
			s.hijacked++
		}
	}
}

// connections are none of an address that has none.
func (p *peer) connections() map[*connection]struct{} {
	if p == nil {
		return nil
	}
	return p.open
}

// admit counts the connection, or returns nil when it is beyond the limits.
func (s *connections) admit(conn net.Conn, now time.Time) *connection {
	addr, exempt := s.client(conn.RemoteAddr())
	c := &connection{Conn: conn, all: s, addr: addr}
	c.mark(http.StateNew, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[addr]
	if p == nil {
		p = &peer{exempt: exempt, open: make(map[*connection]struct{})}
	}
	most := s.limits.PerAddress
	switch {
	case most > 0 && !p.exempt && len(p.open) >= most && !s.spareOf(p, now):
		s.refused(refusedAddress, addr, len(p.open), most, now)
		return nil
	case s.limits.Max > 0 && s.number >= s.limits.Max && !s.spare(now):
		s.refused(refusedAll, addr, s.number, s.limits.Max, now)
		return nil
	}
	p.open[c] = struct{}{}
	s.peers[addr] = p
	s.number++
	return c
}

// logEvery is how often the log has a line of refused connections.
const logEvery = time.Minute

// refused counts and logs. It is called with mu locked.
func (s *connections) refused(reason string, addr netip.Addr, open, most int, now time.Time) {
	s.metrics.refused[reason].Inc()
	if now.Sub(s.told) >= logEvery {
		s.told = now
		s.logger.Warn("connections are refused, see paidui_http_connections_refused_total",
			"reason", reason, "address", addr.String(), "open", open, "max", most)
	}
}

// forget releases the connection, if that has not been done yet.
func (s *connections) forget(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(c)
}

// release is forget with mu locked.
func (s *connections) release(c *connection) {
	p := s.peers[c.addr]
	if _, open := p.connections()[c]; !open {
		return
	}
	delete(p.open, c)
	if len(p.open) == 0 {
		delete(s.peers, c.addr)
	}
	s.number--
	if c.hijacked {
		s.hijacked--
		if s.hijacked == 0 && s.none != nil {
			close(s.none)
			s.none = nil
		}
	}
}

// waitForHijacked returns when handlers have closed all connections that they took over, or closes those that are left
// when ctx ends and returns its error.
func (s *connections) waitForHijacked(ctx context.Context) error {
	s.mu.Lock()
	if s.hijacked == 0 {
		s.mu.Unlock()
		return nil
	}
	none := make(chan struct{})
	s.none = none
	s.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.peers {
		for c := range p.open {
			if c.hijacked {
				_ = c.Conn.Close() // its handler sees it
			}
		}
	}
	return ctx.Err()
}

// client is what counts as one: an address that is exempt, any other IPv4 address, or the /64 of any other IPv6 address.
// What has no IP address counts as one together.
func (s *connections) client(remote net.Addr) (addr netip.Addr, exempt bool) {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	addr = tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, network := range s.limits.Exempt {
		if network.Contains(addr) || network.Contains(netip.AddrFrom16(addr.As16())) {
			return addr, true
		}
	}
	if addr.Is6() {
		addr = netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	return addr, false
}
