package refresh_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/refresh"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const backend = "https://shop.example.com/"

type env struct {
	db    *gorm.DB
	cache redis.UniversalClient
	url   string // of the cache's server, without a database
}

func openDB(t *testing.T, url string) *gorm.DB {
	t.Helper()
	db, err := models.Open(t.Context(), url, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() {
		pool, err := db.DB()
		require.NoError(t, err)
		require.NoError(t, pool.Close())
	})
	require.NoError(t, models.Migrate(t.Context(), db))
	return db
}

func connect(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	rdb, err := broker.Connect(t.Context(), "PAIDUI_CACHE_URL", url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

func open(t *testing.T) env {
	url := testenv.RedisURL(t)
	return env{db: openDB(t, testenv.MySQL(t)), cache: connect(t, url), url: url}
}

func (e env) list(strategy refresh.Strategy) *refresh.BannerList {
	return e.logged(strategy, taskstest.Quiet())
}

// logged is a list that says to logger what befalls it.
func (e env) logged(strategy refresh.Strategy, logger *slog.Logger) *refresh.BannerList {
	store, err := cache.NewStore(e.cache, cache.StoreOptions{Logger: logger})
	if err != nil {
		panic(err)
	}
	return refresh.NewBannerList(e.db, store, refresh.BannerOptions{BackendURL: backend, Count: 3, Strategy: strategy})
}

func add(t *testing.T, db *gorm.DB, banners ...models.Banner) {
	t.Helper()
	require.NoError(t, db.Create(&banners).Error)
}

func cached(t *testing.T, rdb redis.UniversalClient) []refresh.Banner {
	t.Helper()
	raw, err := rdb.Get(t.Context(), refresh.BannersKey).Bytes()
	if err == redis.Nil {
		return nil
	}
	require.NoError(t, err)
	var list []refresh.Banner
	require.NoError(t, json.Unmarshal(raw, &list))
	return list
}

func titles(list []refresh.Banner) (all []string) {
	for _, b := range list {
		all = append(all, b.Title)
	}
	return all
}

func TestGetShowsVisibleBannersInOrder(t *testing.T) {
	t.Parallel()
	databases := map[string]func(*testing.T) string{
		"mysql":  func(t *testing.T) string { return testenv.MySQL(t) },
		"sqlite": func(t *testing.T) string { return "sqlite://" + t.TempDir() + "/paidui.db" },
	}
	for name, url := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := env{db: openDB(t, url(t)), cache: connect(t, testenv.RedisURL(t))}
			list := e.list("")
			got, err := list.Get(t.Context())
			require.NoError(t, err)
			require.Equal(t, []refresh.Banner{}, got)
			require.Equal(t, "[]", e.cache.Get(t.Context(), refresh.BannersKey).Val())
			require.NoError(t, list.Changed(t.Context()))

			add(t, e.db,
				models.Banner{Title: "third", Image: "media/3.svg", Orders: 3, IsShow: true},
				models.Banner{Title: "first", Image: "/media/1.svg", Link: "/goods/1", Orders: -1, IsShow: true},
				models.Banner{Title: "hidden", Image: "/media/h.svg", Orders: 0},
				models.Banner{Title: "deleted", Image: "/media/d.svg", Orders: 0, IsShow: true, IsDelete: true},
				models.Banner{Title: "second", Image: "http://cdn.example.com/2.png", Orders: 2, IsShow: true},
				models.Banner{Title: "beyond the count", Image: "/media/4.svg", Orders: 4, IsShow: true},
			)
			want := []refresh.Banner{
				{ID: 2, Title: "first", Image: "https://shop.example.com/media/1.svg", Link: "/goods/1", Orders: -1},
				{ID: 5, Title: "second", Image: "http://cdn.example.com/2.png", Orders: 2},
				{ID: 1, Title: "third", Image: "https://shop.example.com/media/3.svg", Orders: 3},
			}
			got, err = list.Get(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, want, cached(t, e.cache))
		})
	}
}

func TestManyMissesMakeOneQuery(t *testing.T) {
	t.Parallel()
	e := open(t)
	var queries atomic.Int32
	require.NoError(t, e.db.Callback().Query().Before("gorm:query").Register("count", func(*gorm.DB) { queries.Add(1) }))
	list := e.list("")
	var readers sync.WaitGroup
	for range 100 {
		readers.Go(func() {
			if _, err := list.Get(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	readers.Wait()
	require.EqualValues(t, 1, queries.Load())
}

func TestStrategies(t *testing.T) {
	t.Parallel()
	tests := map[refresh.Strategy][]string{ // what is cached right after a write
		refresh.DeleteOnWrite: nil,
		refresh.UpdateOnWrite: {"old", "new"},
		refresh.Periodic:      {"old"},
	}
	for strategy, want := range tests {
		t.Run(string(strategy), func(t *testing.T) {
			t.Parallel()
			e := open(t)
			list := e.list(strategy)
			add(t, e.db, models.Banner{Title: "old", Image: "/1", IsShow: true})
			_, err := list.Get(t.Context())
			require.NoError(t, err)
			add(t, e.db, models.Banner{Title: "new", Image: "/2", IsShow: true})
			require.NoError(t, list.Changed(t.Context()))
			require.Equal(t, want, titles(cached(t, e.cache)))
		})
	}
}

func TestAFailedUpdateDropsTheList(t *testing.T) {
	t.Parallel()
	e := open(t)
	var log bytes.Buffer
	list := e.logged(refresh.UpdateOnWrite, slog.New(slog.NewTextHandler(&log, nil)))
	_, err := list.Get(t.Context())
	require.NoError(t, err)
	require.NoError(t, e.db.Migrator().DropTable(&models.Banner{}))
	require.NoError(t, list.Changed(t.Context()), "without the list the cache is true")
	require.Zero(t, e.cache.Exists(t.Context(), refresh.BannersKey).Val())
	require.Contains(t, log.String(), "could not be rewritten")
}

func TestChangingRepairsTheListOfAProcessThatDies(t *testing.T) {
	t.Parallel()
	for strategy, repaired := range map[refresh.Strategy]bool{
		refresh.DeleteOnWrite: true, refresh.UpdateOnWrite: true, refresh.Periodic: false,
	} {
		t.Run(string(strategy), func(t *testing.T) {
			t.Parallel()
			e := open(t)
			b := taskstest.Broker(t, e.url)
			list := e.list(strategy)
			mux := tasks.NewMux(tasks.MuxOptions{Logger: taskstest.Quiet()})
			refresh.Bind(mux, list)
			_, err := list.Get(t.Context())
			require.NoError(t, err)
			begun := time.Now()
			require.NoError(t, list.Changing(t.Context(), tasks.NewClient(b)))
			waiting := asynq.NewInspectorFromRedisClient(b.Redis())
			scheduled, err := waiting.ListScheduledTasks(refresh.Banners.Queue())
			if !repaired {
				require.ErrorIs(t, err, asynq.ErrQueueNotFound)
				return
			}
			require.NoError(t, err)
			require.Len(t, scheduled, 1)
			require.False(t, scheduled[0].NextProcessAt.Before(begun.Add(refresh.WriteLimit)), "a late commit is seen")
			taskstest.Serve(t, b, mux, refresh.Banners.Queue())
			add(t, e.db, models.Banner{Title: "new", Image: "/1", IsShow: true})
			require.Eventually(t, func() bool { // Changed is never called
				return len(cached(t, e.cache)) == 1
			}, 20*time.Second, 20*time.Millisecond)
		})
	}
}

func TestParseStrategy(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]refresh.Strategy{
		"": refresh.DeleteOnWrite, "delete": refresh.DeleteOnWrite, "update": refresh.UpdateOnWrite, "periodic": refresh.Periodic,
	} {
		got, err := refresh.ParseStrategy(name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := refresh.ParseStrategy("write-behind")
	require.ErrorContains(t, err, "write-behind")
}

func TestWithoutRedisBannersComeFromTheDatabase(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	e := env{db: openDB(t, testenv.MySQL(t)), cache: connect(t, server.URL(0))}
	list := e.list("")
	add(t, e.db, models.Banner{Title: "one", Image: "/1", IsShow: true})
	server.Stop()
	require.Error(t, e.list(refresh.UpdateOnWrite).Changed(t.Context()))
	for range 3 {
		got, err := list.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"one"}, titles(got))
	}
	require.Error(t, list.Changed(t.Context()))
}

func TestTheTaskRewritesTheCache(t *testing.T) {
	t.Parallel()
	e := open(t)
	list := e.list(refresh.Periodic)
	b := taskstest.Broker(t, e.url)
	client := tasks.NewClient(b)
	mux := tasks.NewMux(tasks.MuxOptions{Logger: taskstest.Quiet()})
	refresh.Bind(mux, list)
	catalog, err := tasks.NewCatalog(refresh.Banners)
	require.NoError(t, err)
	require.NoError(t, mux.Verify(catalog))
	taskstest.Serve(t, b, mux, refresh.Banners.Queue())

	_, err = list.Get(t.Context())
	require.NoError(t, err)
	for i := range 2 {
		add(t, e.db, models.Banner{Title: fmt.Sprint(i), Image: "/x.png", IsShow: true})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		result, err := refresh.Banners.Enqueue(ctx, client, refresh.BannersArgs{})
		require.NoError(t, err)
		count, err := result.Get(ctx)
		cancel()
		require.NoError(t, err)
		require.Equal(t, i+1, count)
		require.Len(t, cached(t, e.cache), i+1)
		require.Equal(t, "https://shop.example.com/x.png", cached(t, e.cache)[0].Image)
	}
}
