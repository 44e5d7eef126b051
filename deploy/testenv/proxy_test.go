package testenv

import (
	"bufio"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// echo is a server that sends every line back. It ends with the test.
func echo(t *testing.T) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return ln.Addr().String()
}

// dial connects to the proxy and says hello through it, so that the connection is known to stand.
func dial(t *testing.T, p *Proxy) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", line)
	return conn, r
}

func TestProxyCutsAllAndAcceptsNew(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	_, first := dial(t, p)
	_, second := dial(t, p)
	p.Cut()
	for _, r := range []*bufio.Reader{first, second} {
		_, err := r.ReadString('\n')
		require.Error(t, err)
		require.NotErrorIs(t, err, net.ErrClosed)
	}
	dial(t, p)
}

func TestProxyCutsAfterBytes(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	conn, r := dial(t, p)
	p.CutAfter(7)
	_, err := io.WriteString(conn, "first\nsecond\n")
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	if err == nil { // the end may also come as a reset
		require.Equal(t, "first\ns", string(got))
	}
	dial(t, p)

	p.CutAfter(3)
	p.Cut()
	dial(t, p) // the cut that was to come is off
}

func TestProxyLosesAnAnswer(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	conn, r := dial(t, p)
	p.LoseAnswer("second")
	_, err := io.WriteString(conn, "first\n")
	require.NoError(t, err)
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "first\n", line)
	_, err = io.WriteString(conn, "second\n")
	require.NoError(t, err)
	_, err = r.ReadString('\n')
	require.Error(t, err)
	fresh, err := net.Dial("tcp", p.Addr)
	require.NoError(t, err)
	_, err = bufio.NewReader(fresh).ReadString('\n')
	require.Error(t, err, "the server is away from then on")
	require.NoError(t, fresh.Close())
	p.Away(false)
	dial(t, p)
}

func TestProxyStalls(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	conn, r := dial(t, p)
	p.Stall(true)
	p.Stall(true) // twice is once
	_, err := io.WriteString(conn, "held\n")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = r.ReadString('\n')
	require.ErrorContains(t, err, "timeout")
	fresh, err := net.Dial("tcp", p.Addr)
	require.NoError(t, err, "a stalled proxy accepts")
	require.NoError(t, fresh.Close())

	p.Stall(false)
	p.Stall(false)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "held\n", line)

	p.Stall(true)
	_, err = io.WriteString(conn, "lost\n")
	require.NoError(t, err)
	p.Cut()
	_, err = r.ReadString('\n')
	require.Error(t, err, "a cut ends a stalled connection")
	p.Stall(false)
	dial(t, p)
}

func TestProxyBeforeRedis(t *testing.T) {
	t.Parallel()
	server := Redis(t)
	p := NewProxy(t, server.Addr)
	o, err := redis.ParseURL(p.URL(2))
	require.NoError(t, err)
	client := redis.NewClient(o)
	defer func() { require.NoError(t, client.Close()) }()
	require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())
	p.Cut()
	require.Equal(t, "v", client.Get(t.Context(), "k").Val(), "go-redis tries again")
	server.Stop()
	require.Error(t, client.Ping(t.Context()).Err())
}

func TestProxyResets(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	conn, r := dial(t, p)
	p.Reset()
	_, err := r.ReadString('\n')
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, err = conn.Write([]byte("hello\n"))
	require.Error(t, err)
	dial(t, p)
}

func TestProxyGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	_, r := dial(t, p)
	p.Away(true)
	_, err := r.ReadString('\n')
	require.Error(t, err)
	fresh, err := net.Dial("tcp", p.Addr)
	require.NoError(t, err)
	defer fresh.Close()
	_, err = fresh.Read(make([]byte, 1))
	require.Error(t, err, "nobody answers")
	p.Away(false)
	dial(t, p)
}

func TestProxyIsSlow(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	conn, r := dial(t, p)
	const delay = 100 * time.Millisecond
	p.Slow(delay)
	begun := time.Now()
	_, err := io.WriteString(conn, "slow\n")
	require.NoError(t, err)
	_, err = r.ReadString('\n')
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(begun), 2*delay, "there and back")

	p.Slow(time.Hour)
	_, err = io.WriteString(conn, "lost\n")
	require.NoError(t, err)
	p.Cut()
	_, err = r.ReadString('\n')
	require.Error(t, err, "a cut ends a slow connection")
	p.Slow(0)
	dial(t, p)
}
