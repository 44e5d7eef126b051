package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/cache"
)

func TestMain(m *testing.M) { testenv.Main(m) }

type user struct {
	Name string `json:"name"`
}

const key = "user:7:profile"

func connect(t *testing.T, url string) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(url)
	require.NoError(t, err)
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

func constant(name string) cache.Load[user] {
	return func(context.Context) (user, error) { return user{name}, nil }
}

func forbidden(t *testing.T) cache.Load[user] {
	return func(context.Context) (user, error) {
		t.Error("the value was loaded although it is cached")
		return user{}, nil
	}
}

func TestGetFillsOnceAndThenHits(t *testing.T) {
	t.Parallel()
	servers := map[string]func(*testing.T) string{
		"redis":     func(t *testing.T) string { return testenv.RedisURL(t) },
		"miniredis": func(t *testing.T) string { return "redis://" + miniredis.RunT(t).Addr() },
	}
	for name, url := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := connect(t, url(t))
			c := cache.New[user](rdb, cache.Options{})

			got, err := c.Get(t.Context(), key, constant("Ann"))
			require.NoError(t, err)
			require.Equal(t, user{"Ann"}, got)
			require.Equal(t, `{"name":"Ann"}`, rdb.Get(t.Context(), key).Val())

			got, err = c.Get(t.Context(), key, forbidden(t))
			require.NoError(t, err)
			require.Equal(t, user{"Ann"}, got)

			require.NoError(t, c.Delete(t.Context(), key))
			got, err = c.Get(t.Context(), key, constant("Bob"))
			require.NoError(t, err)
			require.Equal(t, user{"Bob"}, got)

			got, err = c.Refresh(t.Context(), key, constant("Cid"))
			require.NoError(t, err)
			require.Equal(t, user{"Cid"}, got)
			require.Equal(t, `{"name":"Cid"}`, rdb.Get(t.Context(), key).Val())
		})
	}
}

func TestConcurrentMissesShareOneLoad(t *testing.T) {
	t.Parallel()
	c := cache.New[user](connect(t, testenv.RedisURL(t)), cache.Options{})
	var loads atomic.Int32
	var readers sync.WaitGroup
	for range 100 {
		readers.Go(func() {
			got, err := c.Get(t.Context(), key, func(context.Context) (user, error) {
				loads.Add(1)
				return user{"Ann"}, nil
			})
			if err != nil || got.Name != "Ann" {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	readers.Wait()
	require.EqualValues(t, 1, loads.Load())
}

// pausedLoad returns old once it is released, as a slow query does that began before a commit.
type pausedLoad struct {
	begun, release chan struct{}
}

func newPausedLoad() pausedLoad {
	return pausedLoad{begun: make(chan struct{}), release: make(chan struct{})}
}

func (p pausedLoad) load(context.Context) (user, error) {
	close(p.begun)
	<-p.release
	return user{"old"}, nil
}

func TestAFillThatBeganBeforeTheDeleteIsRefused(t *testing.T) {
	t.Parallel()
	url := testenv.RedisURL(t)
	rdb := connect(t, url)
	reader := cache.New[user](rdb, cache.Options{})
	writer := cache.New[user](connect(t, url), cache.Options{}) // another process
	slow := newPausedLoad()
	done := make(chan error, 1)
	go func() {
		_, err := reader.Get(context.Background(), key, slow.load)
		done <- err
	}()
	<-slow.begun
	require.NoError(t, writer.Delete(t.Context(), key))
	close(slow.release)
	require.NoError(t, <-done)
	require.Zero(t, rdb.Exists(t.Context(), key).Val(), "the old value came back")
}

func TestOfTwoRefreshesTheLaterReadWins(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	c := cache.New[user](rdb, cache.Options{})
	slow := newPausedLoad()
	done := make(chan error, 1)
	go func() {
		_, err := c.Refresh(context.Background(), key, slow.load)
		done <- err
	}()
	<-slow.begun
	_, err := c.Refresh(t.Context(), key, constant("new"))
	require.NoError(t, err)
	close(slow.release)
	require.NoError(t, <-done)
	require.Equal(t, `{"name":"new"}`, rdb.Get(t.Context(), key).Val())
}

func TestAReaderAfterDeleteDoesNotJoinAnOlderLoad(t *testing.T) {
	t.Parallel()
	c := cache.New[user](connect(t, testenv.RedisURL(t)), cache.Options{})
	slow := newPausedLoad()
	done := make(chan error, 1)
	go func() {
		_, err := c.Get(context.Background(), key, slow.load)
		done <- err
	}()
	<-slow.begun
	require.NoError(t, c.Delete(t.Context(), key))
	got, err := c.Get(t.Context(), key, constant("new"))
	require.NoError(t, err)
	require.Equal(t, user{"new"}, got)
	close(slow.release)
	require.NoError(t, <-done)
}

func TestCacheIsTrueOnceWritersRest(t *testing.T) {
	t.Parallel()
	url := testenv.RedisURL(t)
	var row atomic.Int64
	load := func(context.Context) (int64, error) {
		v := row.Load()
		time.Sleep(time.Duration(v%5) * 100 * time.Microsecond) // a query takes its time after its snapshot
		return v, nil
	}
	var all sync.WaitGroup
	for process := range 3 {
		c := cache.New[int64](connect(t, url), cache.Options{})
		for range 4 {
			all.Go(func() {
				for range 200 {
					if _, err := c.Get(t.Context(), "n", load); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Go(func() {
			for i := range 100 {
				row.Add(1)
				err := c.Delete(t.Context(), "n")
				if (i+process)%3 == 0 {
					_, err = c.Refresh(t.Context(), "n", load)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	got, err := cache.New[int64](connect(t, url), cache.Options{}).Get(t.Context(), "n", load)
	require.NoError(t, err)
	require.Equal(t, row.Load(), got)
}

func TestExpiryIsJittered(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	c := cache.New[user](rdb, cache.Options{})
	seen := map[time.Duration]bool{}
	for i := range 20 {
		k := fmt.Sprintf("user:%d:profile", i)
		_, err := c.Get(t.Context(), k, constant("Ann"))
		require.NoError(t, err)
		left := rdb.PTTL(t.Context(), k).Val()
		require.InDelta(t, 600, left.Seconds(), 65)
		seen[left.Truncate(100*time.Millisecond)] = true
	}
	require.Greater(t, len(seen), 10)
}

func TestAValueThatDoesNotDecodeIsReplaced(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	require.NoError(t, rdb.Set(t.Context(), key, "[not a user", 0).Err())
	got, err := cache.New[user](rdb, cache.Options{}).Get(t.Context(), key, constant("Ann"))
	require.NoError(t, err)
	require.Equal(t, user{"Ann"}, got)
	require.Equal(t, `{"name":"Ann"}`, rdb.Get(t.Context(), key).Val())
}

func TestLoadErrorsAreReturnedAndNotCached(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	c := cache.New[user](rdb, cache.Options{})
	broken := errors.New("no database")
	fail := func(context.Context) (user, error) { return user{}, broken }

	_, err := c.Get(t.Context(), key, fail)
	require.ErrorIs(t, err, broken)
	_, err = c.Refresh(t.Context(), key, fail)
	require.ErrorIs(t, err, broken)
	_, err = c.Get(t.Context(), key, func(context.Context) (user, error) { panic("boom") })
	require.ErrorContains(t, err, "boom")
	require.Zero(t, rdb.Exists(t.Context(), key).Val())
}

func TestACallerWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	c := cache.New[user](connect(t, testenv.RedisURL(t)), cache.Options{})
	slow := newPausedLoad()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-slow.begun; cancel() }()
	_, err := c.Get(ctx, key, slow.load)
	require.ErrorIs(t, err, context.Canceled)
	close(slow.release)
	require.Eventually(t, func() bool { // the load went on for whoever comes next
		got, err := c.Get(t.Context(), key, constant("new"))
		return err == nil && got.Name == "old"
	}, 5*time.Second, time.Millisecond)
}

func TestWithoutRedisReadsAreBoundedLoads(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	rdb := connect(t, server.URL(0))
	var log syncBuffer
	c := cache.New[user](rdb, cache.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	server.Stop()

	var running, most, loads atomic.Int32
	var readers sync.WaitGroup
	for i := range 200 {
		readers.Go(func() {
			got, err := c.Get(t.Context(), fmt.Sprintf("user:%d:profile", i%50), func(context.Context) (user, error) {
				loads.Add(1)
				n := running.Add(1)
				defer running.Add(-1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				time.Sleep(5 * time.Millisecond)
				return user{"Ann"}, nil
			})
			if err != nil || got.Name != "Ann" {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	readers.Wait()
	require.LessOrEqual(t, most.Load(), int32(16))
	require.GreaterOrEqual(t, loads.Load(), int32(50))
	require.LessOrEqual(t, strings.Count(log.String(), "\n"), 20, log.String())
	require.Contains(t, log.String(), "cache read failed")

	_, err := c.Refresh(t.Context(), key, constant("Ann"))
	require.Error(t, err)
	require.Error(t, c.Delete(t.Context(), key))

	server.Start()
	require.Eventually(t, func() bool {
		_, err := c.Get(t.Context(), key, constant("Ann"))
		return err == nil && rdb.Exists(t.Context(), key).Val() == 1
	}, 10*time.Second, 20*time.Millisecond)
}

func TestALoadHasItsTime(t *testing.T) {
	t.Parallel()
	c := cache.New[user](connect(t, testenv.RedisURL(t)), cache.Options{})
	for name, read := range map[string]func(context.Context, string, cache.Load[user]) (user, error){
		"get": c.Get, "refresh": c.Refresh,
	} {
		_, err := read(context.Background(), name, func(ctx context.Context) (user, error) {
			end, bounded := ctx.Deadline()
			if left := time.Until(end); !bounded || left > 10*time.Second {
				t.Errorf("%s: the load has %v", name, left)
			}
			return user{"Ann"}, nil
		})
		require.NoError(t, err)
	}
}

func TestWaitingForALoadEndsWithItsTime(t *testing.T) {
	t.Parallel()
	c := cache.New[user](connect(t, testenv.RedisURL(t)), cache.Options{})
	const hogs = 16
	done := make(chan error, hogs)
	release := make(chan struct{})
	for i := range hogs {
		hog := pausedLoad{begun: make(chan struct{}), release: release}
		go func() {
			_, err := c.Get(context.Background(), fmt.Sprint("hog ", i), hog.load)
			done <- err
		}()
		<-hog.begun
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Refresh(ctx, key, forbidden(t))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	close(release)
	for range hogs {
		require.NoError(t, <-done)
	}
}

// syncBuffer is a log's target that may be written concurrently.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
