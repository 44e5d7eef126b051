package boot

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// writeDeadlines gives every write to a connection of ln its own time to reach the client, up to a sixteenth more.
// http.Server's WriteTimeout would bound the whole response instead, and end long polls and event streams.
func writeDeadlines(ln net.Listener, each time.Duration) net.Listener {
	return &deadlineListener{Listener: ln, each: each}
}

type deadlineListener struct {
	net.Listener
	each time.Duration
}

func (l *deadlineListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &deadlineConn{Conn: conn, each: l.each}, nil
}

// deadlineConn extends the write deadline at each write. It is safe for concurrent use.
type deadlineConn struct {
	net.Conn
	each time.Duration
	at   atomic.Int64 // the deadline that stands, in Unix ns
}

// Write sets the deadline a little later than it must be, so that the next writes need not. That the connection takes
// none, because it is closed, the write itself will tell.
func (c *deadlineConn) Write(p []byte) (int, error) {
	now := time.Now()
	most := c.each + c.each/16
	if left := time.Duration(c.at.Load() - now.UnixNano()); left < c.each || left > most {
		_ = c.SetWriteDeadline(now.Add(most))
	}
	return c.Conn.Write(p)
}

// SetWriteDeadline holds until the next write. So none changes nothing, which spares http.Server a timer at each request.
func (c *deadlineConn) SetWriteDeadline(at time.Time) error {
	if at.IsZero() {
		return nil
	}
	c.at.Store(at.UnixNano())
	return c.Conn.SetWriteDeadline(at)
}

// SetDeadline sets both.
func (c *deadlineConn) SetDeadline(at time.Time) error {
	return errors.Join(c.SetReadDeadline(at), c.SetWriteDeadline(at))
}

// NetConn is the layer below.
func (c *deadlineConn) NetConn() net.Conn { return c.Conn }

// CloseWrite is for http.Server, as that of connection.
func (c *deadlineConn) CloseWrite() error { return closeWrite(c.Conn) }
