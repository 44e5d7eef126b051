package banners_test

import (
	"encoding/json"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/refresh/refreshtest"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const backend = "https://shop.example.com/"

// open makes the list of a process.
func open(t *testing.T, s refreshtest.Site, strategy cache.Strategy) *banners.List {
	t.Helper()
	return banners.New(s.DB, s.Store(t, nil), banners.Options{BackendURL: backend, Count: 3, Strategy: strategy})
}

// work runs the list's task until the test ends.
func work(t *testing.T, s refreshtest.Site, list *banners.List) {
	t.Helper()
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: s.Client, StoreAway: models.IsAway})
	banners.Bind(mux, list)
	taskstest.Serve(t, s.Broker, mux, "cache")
}

// cachedTitles are those in the cached list, nil without one.
func cachedTitles(t *testing.T, rdb redis.UniversalClient) []string {
	t.Helper()
	raw := refreshtest.Cached(t, rdb, banners.Key)
	if raw == "" {
		return nil
	}
	var list []banners.Banner
	require.NoError(t, json.Unmarshal([]byte(raw), &list))
	return titles(list)
}

func titles(all []banners.Banner) []string {
	list := []string{}
	for _, b := range all {
		list = append(list, b.Title)
	}
	return list
}
