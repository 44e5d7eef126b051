package cache

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) {
	testenv.RoundsUnderRace(25)
	testenv.AtOnce(6)
	testenv.Main(m)
}

type user struct {
	Name string `json:"name"`
}

// connect opens a client of the URL, which may be a cluster's.
func connect(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	var rdb redis.UniversalClient
	if nodes, ok := strings.CutPrefix(url, "redis+cluster://"); ok {
		rdb = redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nodes}, ContextTimeoutEnabled: true})
	} else {
		opt, err := redis.ParseURL(url)
		require.NoError(t, err)
		opt.ContextTimeoutEnabled = true
		opt.MaxRetries = 1
		opt.DialerRetries = 1
		rdb = redis.NewClient(opt)
	}
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

// open makes a store, as one process has it. A machine that stands still is no Redis that is away, unless opts say so.
func open(t testing.TB, rdb redis.UniversalClient, opts ...func(*StoreOptions)) *Store {
	t.Helper()
	opt := StoreOptions{Logger: testenv.Quiet(), Timeout: time.Minute}
	for _, set := range opts {
		set(&opt)
	}
	s, err := NewStore(rdb, opt)
	require.NoError(t, err)
	return s
}

// servers runs f on each kind of Redis.
func servers(t *testing.T, f func(t *testing.T, rdb redis.UniversalClient)) {
	for name, url := range map[string]func(*testing.T) string{
		"redis":     func(t *testing.T) string { return testenv.RedisURL(t) },
		"embedded":  func(t *testing.T) string { return "redis://" + miniredis.RunT(t).Addr() },
		"a cluster": func(t *testing.T) string { return testenv.RedisCluster(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, connect(t, url(t)))
		})
	}
}

// table is a database of users, whose reads can be held up and made to fail.
type table struct {
	mu    sync.Mutex
	rows  map[int64]user
	fails error
	began chan struct{} // gets one for each read that took its snapshot, when it is not nil
	holds chan struct{} // reads return once it is closed, when it is not nil
	loads atomic.Int64
	asked atomic.Int64 // ids
}

func newTable(rows map[int64]user) *table { return &table{rows: rows} }

func (d *table) set(id int64, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows[id] = user{name}
}

func (d *table) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = err
}

// hold has reads wait after their snapshots, and returns what lets them go on, and all after them.
func (d *table) hold() (began <-chan struct{}, release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.began, d.holds = make(chan struct{}, 100), make(chan struct{})
	holds := d.holds
	return d.began, func() {
		d.mu.Lock()
		d.began, d.holds = nil, nil
		d.mu.Unlock()
		close(holds)
	}
}

func (d *table) load(ctx context.Context, ids []int64) (map[int64]user, error) {
	d.loads.Add(1)
	d.asked.Add(int64(len(ids)))
	d.mu.Lock()
	rows, err := make(map[int64]user), d.fails
	for _, id := range ids {
		if u, ok := d.rows[id]; ok {
			rows[id] = u
		}
	}
	began, holds := d.began, d.holds
	d.mu.Unlock()
	if holds != nil {
		began <- struct{}{}
		select {
		case <-holds:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return rows, err
}

const key = "user:7:profile"

// users caches the table.
func users(s *Store, d *table, change ...func(*Config[int64, user])) *Cache[int64, user] {
	cfg := Config[int64, user]{
		Name: "users",
		Key:  func(id int64) string { return "user:" + formatID(id) + ":profile" },
		Load: d.load,
	}
	for _, f := range change {
		f(&cfg)
	}
	return New(s, cfg)
}
