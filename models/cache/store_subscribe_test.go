package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

type received struct {
	mu   sync.Mutex
	keys []string
	lost atomic.Int32
}

func (h *received) add(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys = append(h.keys, key)
}

func (h *received) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.keys...)
}

func listen(t *testing.T, url string) (*subscription, *received) {
	t.Helper()
	h := &received{}
	s := &subscription{rdb: connect(t, url), changed: h.add, lost: func() { h.lost.Add(1) }, log: testenv.Quiet()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended; require.False(t, s.stands.Load()) })
	return s, h
}

func TestChangesArrive(t *testing.T) {
	t.Parallel()
	url := testenv.RedisURL(t)
	s, h := listen(t, url)
	require.Eventually(t, s.stands.Load, 20*time.Second, time.Millisecond)
	require.EqualValues(t, 1, h.lost.Load(), "what happened before it listened is not known")
	rdb := connect(t, url)
	for _, message := range []string{"users 7", "banners all"} {
		require.NoError(t, rdb.Publish(t.Context(), channel, message).Err())
	}
	require.Eventually(t, func() bool { return len(h.all()) == 2 }, 20*time.Second, time.Millisecond)
	require.Equal(t, []string{"users 7", "banners all"}, h.all())
}

func TestAllMayHaveChangedWithoutAConnection(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.NewProxy(t, server.Addr)
	s, h := listen(t, proxy.URL(0))
	require.Eventually(t, s.stands.Load, 20*time.Second, time.Millisecond)
	for cuts := int32(1); cuts <= 3; cuts++ {
		proxy.Cut()
		require.Eventually(t, func() bool { return h.lost.Load() > cuts && s.stands.Load() }, 20*time.Second, time.Millisecond)
	}
	before := h.lost.Load()
	server.Kill()
	require.Eventually(t, func() bool { return !s.stands.Load() }, 20*time.Second, time.Millisecond)
	server.Start()
	require.Eventually(t, func() bool { return h.lost.Load() > before && s.stands.Load() }, 20*time.Second, time.Millisecond)
	rdb := connect(t, server.URL(0))
	require.NoError(t, rdb.Publish(t.Context(), channel, "k").Err())
	require.Eventually(t, func() bool { return len(h.all()) == 1 }, 20*time.Second, time.Millisecond)
}
