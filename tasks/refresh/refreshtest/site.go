// Package refreshtest opens what tests of cached values need: a database with an outbox, the Redis of its caches and the one
// of its tasks.
package refreshtest

import (
	"context"
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
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/refresh"
	"github.com/paidui/paidui/tasks/taskstest"
)

// Site is a database, the Redis of its caches and the one of its tasks.
type Site struct {
	DB       *gorm.DB
	CacheURL string
	Redis    redis.UniversalClient // of the caches
	Broker   *broker.Broker
	Client   *tasks.Client
}

// Open opens and migrates the database, for as long as the test runs.
func Open(t *testing.T, dbURL, cacheURL string, b *broker.Broker) Site {
	t.Helper()
	db, err := models.Open(t.Context(), dbURL, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, shop.Migrate(t.Context(), db))
	return Site{DB: db, CacheURL: cacheURL, Redis: taskstest.Connect(t, cacheURL), Broker: b, Client: tasks.NewClient(b)}
}

// Real is on MariaDB and one Redis.
func Real(t *testing.T) Site {
	t.Helper()
	r := testenv.Redis(t)
	return Open(t, testenv.MySQL(t), r.URL(2), taskstest.Broker(t, r.URL(1)))
}

// Each runs a test on MariaDB with a real Redis and on SQLite with the embedded one, in parallel.
func Each(t *testing.T, test func(t *testing.T, s Site)) {
	t.Helper()
	t.Parallel()
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(t, Real(t))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		e, err := embedded.Start(context.WithoutCancel(t.Context()))
		require.NoError(t, err)
		t.Cleanup(e.Close)
		test(t, Open(t, "sqlite://"+filepath.Join(t.TempDir(), "site.db"), e.URL(2), taskstest.Broker(t, e.URL(1))))
	})
}

// Store makes a store of caches over rdb, the site's own when nil, as one process has it.
func (s Site) Store(t *testing.T, rdb redis.UniversalClient) *cache.Store {
	t.Helper()
	if rdb == nil {
		rdb = s.Redis
	}
	store, err := cache.NewStore(rdb, cache.StoreOptions{Announcer: refresh.Announcer{}, Timeout: time.Minute, Logger: testenv.Quiet()})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	taskstest.Run(t, store.Run)
	return store
}

// Outbox runs the site's outbox until the test ends.
func (s Site) Outbox(t *testing.T) {
	t.Helper()
	ob, err := outbox.New(s.DB, s.Client, outbox.Options{Logger: testenv.Quiet()})
	require.NoError(t, err)
	require.NoError(t, s.DB.Use(ob))
	taskstest.Run(t, ob.Run)
}

// Waiting counts the refresh.changed tasks that the site's outbox keeps.
func (s Site) Waiting(t *testing.T) int {
	t.Helper()
	var n int64
	require.NoError(t, s.DB.Model(&models.OutboxRow{}).Where("task = ?", refresh.Changed.Name()).Count(&n).Error)
	return int(n)
}

// AddUser makes a row behind the caches' back.
func (s Site) AddUser(t *testing.T, mobile, name string) shop.User {
	t.Helper()
	user := shop.User{Mobile: mobile, Name: name, Photo: "/media/a.png", Intro: "hello", Certi: "author"}
	require.NoError(t, s.DB.Create(&user).Error)
	return user
}

// Cached is what Redis has under the key, "" for nothing.
func Cached(t *testing.T, rdb redis.UniversalClient, key string) string {
	t.Helper()
	text, err := rdb.Get(t.Context(), key).Result()
	if !errors.Is(err, redis.Nil) {
		require.NoError(t, err)
	}
	return text
}
