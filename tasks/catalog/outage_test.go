package catalog_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/catalog"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/sms"
	"github.com/paidui/paidui/tasks/taskstest"
)

// TestNoTaskFailsWhileItsStoresAreAway runs every task of the program, without a retry to spend, while its stores are
// away: none fails, and each is done when they are back.
func TestNoTaskFailsWhileItsStoresAreAway(t *testing.T) {
	t.Parallel()
	for store, waiting := range map[string][]string{
		"database": {"sms.send", "seckill.order", "seckill.reconcile", "refresh.banners", "refresh.all", "refresh.counters", "refresh.followings", "history.prune"},
		"cache":    {"sms.send", "refresh.banners", "refresh.changed", "refresh.all", "refresh.counters", "refresh.followings"},
	} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			outage(t, store, waiting)
		})
	}
}

func outage(t *testing.T, store string, waiting []string) {
	server, redisServer := testenv.MySQL(t), testenv.Redis(t)
	u := strings.TrimPrefix(server, "mysql://root@")
	addr, name, _ := strings.Cut(u, "/")
	databaseWay, cacheWay := testenv.NewProxy(t, addr), testenv.NewProxy(t, redisServer.Addr)
	db, err := models.Open(t.Context(), "mysql://root@"+databaseWay.Addr+"/"+name, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, shop.Migrate(t.Context(), db))
	b := taskstest.Broker(t, testenv.RedisURL(t))
	client := tasks.NewClient(b)
	caches := taskstest.Connect(t, cacheWay.URL(0))
	kept, err := cache.NewStore(caches, cache.StoreOptions{Logger: testenv.Quiet()})
	require.NoError(t, err)
	t.Cleanup(kept.Close)
	records, err := history.NewStore(db, client)
	require.NoError(t, err)
	m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: client, StoreAway: models.IsAway})
	features := catalog.NewFeatures(catalog.FeatureOptions{
		DB: db, Store: kept, Client: client, Logger: testenv.Quiet(),
		Banners: banners.Options{BackendURL: "http://localhost", Count: 3},
	})
	catalog.Bind(m, catalog.Deps{
		DB: db, Cache: caches, Broker: b.Redis(), Client: client, Sender: sms.NewMailbox(db), History: records,
		Features: features,
	})

	now := time.Now()
	goods := shop.Goods{Name: "phone", Stock: 5, StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour)}
	require.NoError(t, db.Create(&goods).Error)
	require.NoError(t, db.Create([]shop.User{{Mobile: "13800000000", Name: "Li"}, {Mobile: "13800000001", Name: "Wu"}}).Error)
	require.NoError(t, db.Create(&shop.Following{UserID: 1, TargetID: 2, CreatedAt: now}).Error)
	_, list, err := features.Followings.List(t.Context(), 1, 1, 10) // which is cached then
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.NoError(t, caches.Set(t.Context(), "send_sms_code_13800000000", "123456", time.Hour).Err())
	require.NoError(t, b.Redis().ZAdd(t.Context(), "paidui:seckill:live", redis.Z{Score: 1, Member: goods.ID}).Err())

	way := map[string]*testenv.Proxy{"database": databaseWay, "cache": cacheWay}[store]
	way.Away(true)
	args := map[string]string{
		"demo.add": `{"n":1,"m":2}`, "demo.low": `{"n":1,"m":2}`,
		"sms.send":        `{"mobile":"13800000000"}`,
		"seckill.order":   `{"user_id":1,"goods_id":1}`,
		"refresh.changed": `{"changes":[{"cache":"users","id":"1"}]}`,
		"refresh.all":     `{"cache":"users"}`,
	}
	c, err := catalog.New()
	require.NoError(t, err)
	ids := make(map[string]string)
	queues := make(map[string]bool)
	for _, spec := range c.All() {
		raw := args[spec.Name()]
		if raw == "" {
			raw = `{}`
		}
		id, err := spec.EnqueueJSON(t.Context(), client, json.RawMessage(raw), tasks.MaxRetries(0), tasks.Retention(time.Hour))
		require.NoError(t, err, spec.Name())
		ids[spec.Name()] = id
		queues[spec.Queue()] = true
	}
	names := make([]string, 0, len(queues))
	for q := range queues {
		names = append(names, q)
	}
	taskstest.Serve(t, b, m, names...)

	waited := make(map[string]bool)
	for task, id := range ids {
		require.Eventually(t, func() bool {
			info, err := client.Info(t.Context(), id)
			if err != nil {
				return false
			}
			require.NotEqual(t, tasks.StateFailure, info.State, "%s: %s", task, info.Error)
			waited[task] = len(info.Attempts) > 0 && info.Attempts[0].Outcome == "snooze"
			return info.State.Final() || len(info.Attempts) >= 2
		}, 2*time.Minute, 20*time.Millisecond, task)
	}
	for _, task := range waiting {
		require.True(t, waited[task], "%s does without the %s", task, store)
	}

	way.Away(false)
	for task, id := range ids {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		info, err := client.Wait(ctx, id)
		cancel()
		require.NoError(t, err, task)
		if task == "seckill.reconcile" || task == "refresh.banners" { // which come again by schedule
			require.NotEqual(t, tasks.StateFailure, info.State, "%s: %s", task, info.Error)
			continue
		}
		require.Equal(t, tasks.StateSuccess, info.State, "%s: %s", task, info.Error)
		require.Zero(t, info.Retries, task)
	}
}
