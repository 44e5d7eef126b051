package refresh_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/articles"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/profiles"
	"github.com/paidui/paidui/tasks/refresh"
	"github.com/paidui/paidui/tasks/refresh/refreshtest"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const backend = "https://shop.example.com/"

// site is one whose processes have all kept values.
type site struct{ refreshtest.Site }

func realSite(t *testing.T) site {
	t.Helper()
	return site{refreshtest.Real(t)}
}

func eachSite(t *testing.T, test func(t *testing.T, s site)) {
	t.Helper()
	refreshtest.Each(t, func(t *testing.T, s refreshtest.Site) { test(t, site{s}) })
}

// process is one of those that share a site: a store of its own, and what stands on it.
type process struct {
	store    *cache.Store
	banners  *banners.List
	profiles *profiles.Profiles
	articles *articles.Articles
}

// process starts one whose store is over rdb, the site's own when nil.
func (s site) process(t *testing.T, rdb redis.UniversalClient, strategy cache.Strategy) process {
	t.Helper()
	store := s.Store(t, rdb)
	return process{
		store:    store,
		banners:  banners.New(s.DB, store, banners.Options{BackendURL: backend, Count: 3, Strategy: strategy}),
		profiles: profiles.New(s.DB, store),
		articles: articles.New(s.DB, store, articles.Options{}),
	}
}

// work runs the process's tasks until the test ends.
func (s site) work(t *testing.T, p process) {
	t.Helper()
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: s.Client, StoreAway: models.IsAway})
	banners.Bind(mux, p.banners)
	refresh.Bind(mux, p.store, p.banners.Kind(), p.profiles.Kind(), p.articles.Kind())
	known, err := tasks.NewCatalog(banners.Refresh, refresh.Changed, refresh.All)
	require.NoError(t, err)
	require.NoError(t, mux.Verify(known))
	taskstest.Serve(t, s.Broker, mux, "cache")
}

func titlesOf(list []banners.Banner) []string {
	titles := []string{}
	for _, b := range list {
		titles = append(titles, b.Title)
	}
	return titles
}
