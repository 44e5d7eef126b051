package refresh_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/refresh"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	backend = "https://shop.example.com/"
	// patience bounds waits that a healthy system ends much earlier.
	patience = 60 * time.Second
)

// site is a database, the Redis of its caches and the one of its tasks.
type site struct {
	db       *gorm.DB
	cacheURL string
	redis    redis.UniversalClient // of the caches
	broker   *broker.Broker
	client   *tasks.Client
}

func openSite(t *testing.T, dbURL, cacheURL string, b *broker.Broker) site {
	t.Helper()
	db, err := models.Open(t.Context(), dbURL, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, models.Migrate(t.Context(), db))
	return site{db: db, cacheURL: cacheURL, redis: taskstest.Connect(t, cacheURL), broker: b, client: tasks.NewClient(b)}
}

// realSite is on MariaDB and one Redis.
func realSite(t *testing.T) site {
	t.Helper()
	r := testenv.Redis(t)
	return openSite(t, testenv.MySQL(t), r.URL(2), taskstest.Broker(t, r.URL(1)))
}

// eachSite runs a test on MariaDB with a real Redis and on SQLite with the embedded one.
func eachSite(t *testing.T, test func(t *testing.T, s site)) {
	t.Helper()
	t.Parallel()
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(t, realSite(t))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		e, err := redisx.StartEmbedded(context.WithoutCancel(t.Context()))
		require.NoError(t, err)
		t.Cleanup(e.Close)
		test(t, openSite(t, "sqlite://"+filepath.Join(t.TempDir(), "site.db"), e.URL(2), taskstest.Broker(t, e.URL(1))))
	})
}

// process is one of those that share a site: a store of its own, and what stands on it.
type process struct {
	store    *cache.Store
	banners  *refresh.BannerList
	profiles *refresh.Profiles
	articles *refresh.Articles
}

// process starts one whose store is over rdb, the site's own when nil.
func (s site) process(t *testing.T, rdb redis.UniversalClient, strategy cache.Strategy) process {
	t.Helper()
	if rdb == nil {
		rdb = s.redis
	}
	store, err := cache.NewStore(rdb, cache.StoreOptions{Announcer: refresh.Announcer{}, Timeout: time.Minute, Logger: testenv.Quiet()})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	taskstest.Run(t, store.Run)
	return process{
		store:    store,
		banners:  refresh.NewBannerList(s.db, store, refresh.BannerOptions{BackendURL: backend, Count: 3, Strategy: strategy}),
		profiles: refresh.NewProfiles(s.db, store),
		articles: refresh.NewArticles(s.db, store, refresh.ArticleOptions{}),
	}
}

// outbox runs the site's outbox until the test ends.
func (s site) outbox(t *testing.T) {
	t.Helper()
	ob, err := outbox.New(s.db, s.client, outbox.Options{Logger: testenv.Quiet()})
	require.NoError(t, err)
	require.NoError(t, s.db.Use(ob))
	taskstest.Run(t, ob.Run)
}

// work runs the process's tasks until the test ends.
func (s site) work(t *testing.T, p process) {
	t.Helper()
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: s.client})
	refresh.Bind(mux, p.store, p.banners, p.banners.Kind(), p.profiles.Kind(), p.articles.Kind())
	known, err := tasks.NewCatalog(refresh.Banners, refresh.Changed, refresh.All)
	require.NoError(t, err)
	require.NoError(t, mux.Verify(known))
	taskstest.Serve(t, s.broker, mux, "cache")
}

// waiting counts the tasks that the site's outbox keeps.
func (s site) waiting(t *testing.T) int {
	t.Helper()
	var n int64
	require.NoError(t, s.db.Model(&models.OutboxRow{}).Where("task = ?", refresh.Changed.Name()).Count(&n).Error)
	return int(n)
}

func (s site) addUser(t *testing.T, mobile, name string) models.User {
	t.Helper()
	user := models.User{Mobile: mobile, Name: name, Photo: "/media/a.png", Intro: "hello", Certi: "author"}
	require.NoError(t, s.db.Create(&user).Error)
	return user
}

// cached is what Redis has under the key, "" for nothing.
func cached(t *testing.T, rdb redis.UniversalClient, key string) string {
	t.Helper()
	text, err := rdb.Get(t.Context(), key).Result()
	if !errors.Is(err, redis.Nil) {
		require.NoError(t, err)
	}
	return text
}

// cachedBanners are the titles in the cached list, nil without one.
func cachedBanners(t *testing.T, rdb redis.UniversalClient) (titles []string) {
	t.Helper()
	raw := cached(t, rdb, refresh.BannersKey)
	if raw == "" {
		return nil
	}
	var list []refresh.Banner
	require.NoError(t, json.Unmarshal([]byte(raw), &list))
	return titlesOf(list)
}

func titlesOf(list []refresh.Banner) []string {
	titles := []string{}
	for _, b := range list {
		titles = append(titles, b.Title)
	}
	return titles
}
