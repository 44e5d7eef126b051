package shop_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// cuttableProxy forwards TCP connections to a server until it is cut.
type cuttableProxy struct {
	to string
	ln net.Listener

	mu    sync.Mutex
	out   bool
	conns map[net.Conn]bool
	all   sync.WaitGroup
}

func newCuttableProxy(t *testing.T, to string) *cuttableProxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cuttableProxy{to: to, ln: ln, conns: map[net.Conn]bool{}}
	c.all.Go(c.accept)
	t.Cleanup(func() {
		c.connect(false)
		_ = ln.Close()
		c.all.Wait()
	})
	return c
}

func (c *cuttableProxy) accept() {
	for {
		near, err := c.ln.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", c.to)
		if err != nil || !c.keep(near, far) {
			_ = near.Close()
			continue
		}
		for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
			c.all.Go(func() {
				_, _ = io.Copy(way[0], way[1]) // ends when either is closed
				_ = way[0].Close()
			})
		}
	}
}

func (c *cuttableProxy) keep(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		if c.out {
			_ = conn.Close()
			continue
		}
		c.conns[conn] = true
	}
	return !c.out
}

// connect lets connections through, or with false closes them all and refuses new ones.
func (c *cuttableProxy) connect(in bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = !in
	for conn := range c.conns {
		if c.out {
			_ = conn.Close()
			delete(c.conns, conn)
		}
	}
}

func TestWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testenv.MySQL(t))
	require.NoError(t, err)
	line := newCuttableProxy(t, u.Host)
	u.Host = line.ln.Addr().String()
	r := testenv.Redis(t)
	s := assemble(t, u.String(), r.URL(1), r.URL(2), nil)
	user := bearer(s.login(t, mobile).Token)
	require.Equal(t, 100, s.Post("/v1/banners", map[string]any{"title": "a", "image": "/1.svg"}, asOperator).Code)
	require.Len(t, s.visible(t), 1)
	goods := s.sell(t, "键盘", 1, -time.Minute, time.Hour)
	in := s.Post("/v1/seckill", map[string]any{"goods_id": goods}, user)
	require.Equal(t, 100, in.Code)

	line.connect(false)
	require.Len(t, s.visible(t), 1, "from the cache")
	again := s.Post("/v1/seckill", map[string]any{"goods_id": goods}, user)
	require.Equal(t, []any{100, in.TaskID}, []any{again.Code, again.TaskID}, "taking an order needs no database")
	s.codeFor(t, "13800000002", "123456")
	login := map[string]string{"mobile": "13800000002", "code": "123456"}
	for i, a := range []answer{
		s.Get("/v1/goods"),
		s.Get("/v1/orders", user),
		s.Get("/v1/user", user),
		s.Post("/v1/login", login),
		s.Post("/v1/banners", map[string]any{"title": "b", "image": "/2.svg"}, asOperator),
	} {
		require.Equal(t, http.StatusServiceUnavailable, a.Status, "%d: %s", i, a.Raw)
		require.NotEmpty(t, a.Header.Get("Retry-After"))
	}

	line.connect(true)
	require.Eventually(t, func() bool { return s.Get("/v1/goods").Code == 100 }, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, 100, s.Post("/v1/login", login).Code, "the code was not used up in vain")
}
