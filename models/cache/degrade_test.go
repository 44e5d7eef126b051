package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// crowd reads users 0 to 49 until stop is called, which returns the longest read.
func crowd(t *testing.T, c *Cache[int64, user]) (stop func() (reads int64, longest time.Duration)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	var reads, longest atomic.Int64
	for i := range 32 {
		readers.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				began := time.Now()
				got, err := c.Get(context.Background(), int64(n%50))
				if err != nil || got.Name != "Ann" {
					t.Errorf("got %v, %v", got, err)
				}
				reads.Add(1)
				took := int64(time.Since(began))
				for old := longest.Load(); took > old && !longest.CompareAndSwap(old, took); old = longest.Load() {
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	return func() (int64, time.Duration) {
		cancel()
		readers.Wait()
		return reads.Load(), time.Duration(longest.Load())
	}
}

func fifty() map[int64]user {
	rows := make(map[int64]user)
	for id := range int64(50) {
		rows[id] = user{"Ann"}
	}
	return rows
}

// TestNoReaderFailsWhenRedisDoes kills, freezes and revives Redis under load.
func TestNoReaderFailsWhenRedisDoes(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.NewProxy(t, server.Addr)
	var log testenv.LogBuffer
	s := open(t, connect(t, proxy.URL(0)), func(o *StoreOptions) {
		o.Logger, o.Timeout = slog.New(slog.NewTextHandler(&log, nil)), 0
	})
	running(t, s)
	d := newTable(fifty())
	c := users(s, d)
	stop := crowd(t, c)
	await := func(what string, hits bool) {
		t.Helper()
		testenv.Eventually(t, func() bool {
			before := testutil.ToFloat64(c.counts.hits)
			time.Sleep(50 * time.Millisecond)
			return testutil.ToFloat64(c.counts.hits) > before+50 == hits && s.backends.primary.breaker.open() == !hits
		}, what)

	}
	began := time.Now()
	for range 2 {
		await("Redis is read", true)
		server.Kill()
		await("Redis is left alone", false)
		server.Start()
		await("Redis is read again", true)
		proxy.Stall(true)
		await("a frozen Redis is left alone", false)
		proxy.Stall(false)
		await("Redis is read again", true)
		proxy.Reset()
	}
	took := time.Since(began)
	reads, longest := stop()
	require.Less(t, longest, 10*time.Second)
	require.Positive(t, testutil.ToFloat64(c.counts.degraded))
	require.Less(t, d.loads.Load(), reads)
	lines := strings.Count(log.String(), "\n")
	require.LessOrEqual(t, lines, 20+5*int(took.Seconds()), "%d reads\n%s", reads, log.String())
}

func TestTheReplicaSparesTheDatabase(t *testing.T) {
	t.Parallel()
	primary, replica := testenv.Redis(t), testenv.Redis(t)
	admin := connect(t, replica.URL(0))
	host, port := addr(t, primary.Addr)
	require.NoError(t, admin.SlaveOf(t.Context(), host, port).Err())
	d := newTable(fifty())
	s := open(t, connect(t, primary.URL(0)), func(o *StoreOptions) { o.Replica = connect(t, replica.URL(0)) })
	c := users(s, d, nearFor(time.Millisecond))
	for id := range int64(50) {
		_, err := c.Get(t.Context(), id)
		require.NoError(t, err)
	}
	testenv.Eventually(t, func() bool { return admin.DBSize(t.Context()).Val() >= 50 }, "the replica has all")
	before := d.loads.Load()
	stop := crowd(t, c)
	primary.Kill()
	testenv.Eventually(t, s.backends.primary.breaker.open, "the primary is left alone")
	time.Sleep(500 * time.Millisecond)
	reads, _ := stop()
	require.Positive(t, reads)
	require.Equal(t, before, d.loads.Load(), "the database was not asked")
	_, err := c.GetMany(t.Context(), []int64{1, 2, 3})
	require.NoError(t, err)
	require.Equal(t, before, d.loads.Load())
	_, err = c.Get(t.Context(), 99)
	require.ErrorIs(t, err, ErrNull, "what the replica does not have is loaded")
	require.ErrorIs(t, c.Clear(t.Context(), 1), ErrAway, "a replica takes no changes")
}

func TestMadeUpIDsLeaveLittleBehind(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	d := newTable(map[int64]user{7: {"Ann"}})
	s := open(t, rdb)
	c := users(s, d, nearFor(time.Hour))
	const ids = 12_000
	began := time.Now()
	var readers sync.WaitGroup
	for r := range int64(32) {
		readers.Go(func() {
			for id := 1000 + r; id < ids; id += 32 {
				if _, err := c.Get(t.Context(), id); !errors.Is(err, ErrNull) {
					t.Errorf("got %v", err)
					return
				}
			}
		})
	}
	readers.Wait()
	bound := nullBurst + int64(time.Since(began).Seconds()+1)*nullsPerSecond
	require.Less(t, bound, int64(ids/2), "the machine was too slow for this test to tell anything")
	require.LessOrEqual(t, rdb.DBSize(t.Context()).Val(), bound)
	require.Positive(t, testutil.ToFloat64(c.counts.unfilled))
	testenv.Eventually(t, func() bool {
		c.near.kept.CleanUp()
		s.nulls.kept.CleanUp()
		return c.near.kept.EstimatedSize() <= 100 && s.nulls.kept.EstimatedSize() <= nearNulls
	}, "the process keeps few")

	_, err := c.Get(t.Context(), ids+2)
	require.ErrorIs(t, err, ErrNull)
	d.set(ids+2, "created")
	testenv.Eventually(t, func() bool { return s.Apply(t.Context(), "task", c.Changes(ids+2)) == nil }, "the change is applied")
	got, err := c.Get(t.Context(), ids+2)
	require.NoError(t, err)
	require.Equal(t, user{"created"}, got, "a null value that only the process has is forgotten like any other")
}

func TestTooManyLoadsAreRefused(t *testing.T) {
	t.Parallel()
	d := newTable(fifty())
	s := open(t, connect(t, testenv.RedisURL(t)), func(o *StoreOptions) { o.Loads, o.LoadQueue = 2, 3 })
	c := users(s, d)
	began, release := d.hold()
	var done sync.WaitGroup
	for id := range int64(5) {
		done.Go(func() {
			if _, err := c.Get(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}
	for range 2 {
		<-began
	}
	testenv.Eventually(t, func() bool { return s.loads.waiting.Load() == 3 }, "three wait")
	_, err := c.Get(t.Context(), 6)
	var busy *BusyError
	require.ErrorAs(t, err, &busy)
	require.Positive(t, testutil.ToFloat64(s.metrics.busy))
	release()
	done.Wait()
	got, err := c.Get(t.Context(), 6)
	require.NoError(t, err, "its lease was given up")
	require.Equal(t, user{"Ann"}, got)
}

// TestASilentDatabaseIsLeftAlone has one that takes queries and does not answer.
func TestASilentDatabaseIsLeftAlone(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	d := newTable(fifty())
	s := open(t, rdb)
	c := users(s, d, func(cfg *Config[int64, user]) { cfg.Stale = time.Hour })
	_, err := c.Get(t.Context(), 7)
	require.NoError(t, err)
	require.NoError(t, c.Clear(t.Context(), 7))
	_, release := d.hold()
	var readers sync.WaitGroup
	for id := range int64(failuresToOpen) {
		readers.Go(func() {
			if _, err := c.Get(t.Context(), id); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
	readers.Wait()
	require.True(t, s.database.open())

	before := d.loads.Load()
	const many = 50
	for id := range int64(many) {
		readers.Go(func() { // but for one a second nobody waits for the database
			got, err := c.Get(t.Context(), id)
			switch {
			case id == 7 && (err != nil || got != user{"Ann"}):
				t.Errorf("the last known value: got %v, %v", got, err)
			case id != 7 && !errors.Is(err, ErrDatabaseAway) && !errors.Is(err, context.DeadlineExceeded):
				t.Errorf("got %v", err)
			}
		})
	}
	readers.Wait()
	require.Less(t, d.loads.Load()-before, int64(many/2))
	require.Positive(t, testutil.ToFloat64(s.metrics.busy))

	release()
	testenv.Eventually(t, func() bool {
		got, err := c.Get(t.Context(), 3)
		return err == nil && got == user{"Ann"}
	}, "the database is asked again")

	require.False(t, s.database.open())
}

func BenchmarkGet(b *testing.B) {
	for name, near := range map[string]int{"near": 100, "redis": -1} {
		b.Run(name, func(b *testing.B) {
			s := open(b, connect(b, testenv.RedisURL(b)))
			c := users(s, newTable(fifty()), func(cfg *Config[int64, user]) { cfg.Near, cfg.NearExpiry = near, time.Hour })
			b.ReportAllocs()
			b.SetParallelism(64)
			var n atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := c.Get(b.Context(), n.Add(1)%50); err != nil {
						b.Fatal(fmt.Errorf("get: %w", err))
					}
				}
			})
		})
	}
}
