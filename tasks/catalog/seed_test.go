package catalog_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/catalog"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/refresh"
	"github.com/paidui/paidui/tasks/sms"
	"github.com/paidui/paidui/tasks/taskstest"
)

// TestSeedLeavesNoCachedEmptinessBehind seeds while programs run that have looked at the empty database.
func TestSeedLeavesNoCachedEmptinessBehind(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func() string{
		"mariadb": func() string { return testenv.MySQL(t) },
		"sqlite":  func() string { return "sqlite://" + t.TempDir() + "/paidui.db" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := models.Open(t.Context(), url(), models.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, models.Close(db)) })
			require.NoError(t, shop.Migrate(t.Context(), db))
			b := taskstest.Embedded(t)
			client := tasks.NewClient(b)
			caches, err := cache.NewStore(b.Redis(), cache.StoreOptions{Announcer: refresh.Announcer{}, Timeout: time.Minute, Logger: testenv.Quiet()})
			require.NoError(t, err)
			t.Cleanup(caches.Close)
			f := catalog.NewFeatures(catalog.FeatureOptions{DB: db, Store: caches, Client: client, Logger: testenv.Quiet()})
			list, err := f.Banners.Get(t.Context())
			require.NoError(t, err)
			require.Empty(t, list)
			for id := range int64(4) {
				exists, err := f.Profiles.Exists(t.Context(), id+1)
				require.NoError(t, err)
				require.False(t, exists)
				_, err = f.Articles.Get(t.Context(), id+1)
				require.ErrorIs(t, err, cache.ErrNull)
			}

			// As the command has it, which knows no broker.
			ob, err := outbox.New(db, tasks.NewClient(nil), outbox.Options{Logger: testenv.Quiet()})
			require.NoError(t, err)
			require.NoError(t, db.Use(ob))
			seeded, err := catalog.Seed(t.Context(), db, time.Now())
			require.NoError(t, err)
			require.True(t, seeded)
			seeded, err = catalog.Seed(t.Context(), db, time.Now())
			require.NoError(t, err)
			require.False(t, seeded)

			// As any other program has it, which sends what the command has left.
			theirs, err := outbox.New(db, client, outbox.Options{Logger: testenv.Quiet()})
			require.NoError(t, err)
			ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
			done := make(chan error, 1)
			go func() { done <- theirs.Run(ctx) }()
			t.Cleanup(func() {
				stop()
				require.NoError(t, <-done)
			})
			m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: client})
			catalog.Bind(m, catalog.Deps{DB: db, Cache: b.Redis(), Broker: b.Redis(), Client: client, Sender: sms.NewMailbox(db), Features: f})
			taskstest.Serve(t, b, m, "cache")
			require.Eventually(t, func() bool {
				list, err := f.Banners.Get(t.Context())
				if err != nil || len(list) != 3 {
					return false
				}
				for id := range int64(4) {
					exists, err := f.Profiles.Exists(t.Context(), id+1)
					if err != nil || !exists {
						return false
					}
					if _, err := f.Articles.Get(t.Context(), id+1); err != nil {
						return false
					}
				}
				return true
			}, time.Minute, 20*time.Millisecond)
			require.Equal(t, []cache.Change{banners.Change}, f.Banners.Changes())
		})
	}
}
