package testenv

import (
	"bytes"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy forwards TCP connections to a server and breaks them on demand. It is safe for concurrent use.
type Proxy struct {
	Addr string // host:port that clients connect to

	ln   net.Listener
	done sync.WaitGroup

	mu     sync.Mutex
	target string
	closed bool
	links  map[*link]struct{}
	flow   chan struct{} // closed while bytes flow
	delay  time.Duration // of each piece that arrives, in each direction
	away   bool          // connections end as soon as they are accepted
	left   int           // bytes that may yet go downstream before the cut; below 0 there is none to come
	lose   []byte        // in the request whose answer is to be lost; nil when none is
}

// link is one connection of a client with its counterpart at the server.
type link struct {
	client, server net.Conn
	once           sync.Once
	cut            chan struct{} // closed when both are
	lost           atomic.Bool   // the next answer is
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.cut)
		_ = l.client.Close()
		_ = l.server.Close()
	})
}

// NewProxy forwards to target, a host:port, until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p, err := StartProxy(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// StartProxy is NewProxy outside tests. Close ends it.
func StartProxy(target string) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		Addr:   ln.Addr().String(),
		target: target,
		ln:     ln,
		links:  make(map[*link]struct{}),
		flow:   make(chan struct{}),
		left:   -1,
	}
	close(p.flow)
	p.done.Go(p.accept)
	return p, nil
}

// URL is the address of a database of the Redis behind the proxy, which has no password.
func (p *Proxy) URL(db int) string { return fmt.Sprintf("redis://%s/%d", p.Addr, db) }

// Turn has new connections go to another target, as those to a name do that has changed. Old ones stay.
func (p *Proxy) Turn(target string) {
	p.mu.Lock()
	p.target = target
	p.mu.Unlock()
}

// Cut closes all connections. New ones are accepted at once.
func (p *Proxy) Cut() {
	p.mu.Lock()
	p.left = -1
	links := p.links
	p.links = make(map[*link]struct{})
	p.mu.Unlock()
	for l := range links {
		l.close()
	}
}

// Reset is a Cut after which the clients know that the server has gone: their next write fails.
func (p *Proxy) Reset() {
	p.mu.Lock()
	for l := range p.links {
		_ = l.client.(*net.TCPConn).SetLinger(0) // it may be closed already
	}
	p.mu.Unlock()
	p.Cut()
}

// CutAfter makes a Cut as soon as the server has sent n more bytes, over all connections: in the middle of an answer,
// as a rule. The n bytes arrive. A Cut that comes first takes its place.
func (p *Proxy) CutAfter(n int) {
	p.mu.Lock()
	p.left = max(n, 0)
	p.mu.Unlock()
}

// LoseAnswer has the answer to the next request that contains word reach the proxy, which is Away from then on. So the
// client does not learn that the server has done what it was asked.
func (p *Proxy) LoseAnswer(word string) {
	p.mu.Lock()
	p.lose = []byte(word)
	p.mu.Unlock()
}

// loses reports whether what has arrived is an answer to be lost.
func (p *Proxy) loses(l *link, piece []byte, downstream bool) bool {
	if downstream {
		return l.lost.Load()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lose != nil && bytes.Contains(piece, p.lose) {
		p.lose = nil
		l.lost.Store(true)
	}
	return false
}

// Stall holds back all bytes in both directions, on connections old and new, until it is turned off; then they arrive.
func (p *Proxy) Stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stalled := false
	select {
	case <-p.flow:
	default:
		stalled = true
	}
	switch {
	case on && !stalled:
		p.flow = make(chan struct{})
	case !on && stalled:
		close(p.flow)
	}
}

// Slow delays all bytes in both directions, on connections old and new, by so much each time that some arrive; 0 ends it.
func (p *Proxy) Slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// Away makes a Cut and ends new connections as they come, as if the server were gone, until it is turned off.
func (p *Proxy) Away(on bool) {
	p.mu.Lock()
	p.away = on
	p.mu.Unlock()
	if on {
		p.Cut()
	}
}

// Close ends the proxy and all its connections.
func (p *Proxy) Close() {
	_ = p.ln.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Cut()
	p.done.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.done.Go(func() { p.join(client) })
	}
}

// join connects a client to the server. A server that is away looks like a connection that ends at once.
func (p *Proxy) join(client net.Conn) {
	const dialLimit = 5 * time.Second
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	server, err := net.DialTimeout("tcp", target, dialLimit)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{client: client, server: server, cut: make(chan struct{})}
	p.mu.Lock()
	closed := p.closed || p.away
	if !closed {
		p.links[l] = struct{}{}
	}
	p.mu.Unlock()
	if closed {
		l.close()
		return
	}
	p.done.Go(func() { p.pump(l, server, client, false) })
	p.pump(l, client, server, true)
}

// pump copies one direction until either end closes, and closes both.
func (p *Proxy) pump(l *link, to, from net.Conn, downstream bool) {
	defer func() {
		l.close()
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
	}()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if !p.linger(l) {
			return
		}
		n, last, ok := p.pass(l, n, downstream)
		if !ok {
			return
		}
		if p.loses(l, buf[:n], downstream) {
			p.Away(true)
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
		if last {
			p.Cut()
			return
		}
	}
}

// linger waits for the delay. It is not ok when the connection was cut meanwhile.
func (p *Proxy) linger(l *link) (ok bool) {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if delay <= 0 {
		return true
	}
	select {
	case <-l.cut:
		return false
	case <-time.After(delay):
		return true
	}
}

// pass waits while the proxy stalls, and says how many of n bytes may go and whether they are the last before a cut.
// It is not ok when the connection was cut meanwhile.
func (p *Proxy) pass(l *link, n int, downstream bool) (allowed int, last, ok bool) {
	for {
		p.mu.Lock()
		flow := p.flow
		select {
		case <-flow:
			if downstream && p.left >= 0 {
				last = p.left <= n
				n = min(n, p.left)
				p.left -= n
			}
			p.mu.Unlock()
			return n, last, true
		default:
		}
		p.mu.Unlock()
		select {
		case <-l.cut:
			return 0, false, false
		case <-flow:
		}
	}
}
