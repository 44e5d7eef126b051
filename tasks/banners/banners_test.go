package banners_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/refresh/refreshtest"
	"github.com/paidui/paidui/tasks/taskstest"
)

// write adds rows through the list.
func write(t *testing.T, list *banners.List, rows ...shop.Banner) {
	t.Helper()
	require.NoError(t, list.Write(t.Context(), func(tx *gorm.DB) error { return tx.Create(&rows).Error }))
}

func visible(title string) shop.Banner {
	return shop.Banner{Title: title, Image: "/x.png", IsShow: true}
}

func TestGetShowsVisibleBannersInOrder(t *testing.T) {
	refreshtest.Each(t, func(t *testing.T, s refreshtest.Site) {
		s.Outbox(t)
		p := open(t, s, 0)
		got, err := p.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, []banners.Banner{}, got)
		require.Equal(t, "[]", refreshtest.Cached(t, s.Redis, banners.Key))

		write(t, p,
			shop.Banner{Title: "third", Image: "media/3.svg", Orders: 3, IsShow: true},
			shop.Banner{Title: "first", Image: "/media/1.svg", Link: "/goods/1", Orders: -1, IsShow: true},
			shop.Banner{Title: "hidden", Image: "/media/h.svg", Orders: 0},
			shop.Banner{Title: "deleted", Image: "/media/d.svg", Orders: 0, IsShow: true, IsDelete: true},
			shop.Banner{Title: "second", Image: "http://cdn.example.com/2.png", Orders: 2, IsShow: true},
			shop.Banner{Title: "beyond the count", Image: "/media/4.svg", Orders: 4, IsShow: true},
		)
		want := []banners.Banner{
			{ID: 2, Title: "first", Image: "https://shop.example.com/media/1.svg", Link: "/goods/1", Orders: -1},
			{ID: 5, Title: "second", Image: "http://cdn.example.com/2.png", Orders: 2},
			{ID: 1, Title: "third", Image: "https://shop.example.com/media/3.svg", Orders: 3},
		}
		got, err = p.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, []string{"first", "second", "third"}, cachedTitles(t, s.Redis))
	})
}

func TestManyMissesMakeOneQuery(t *testing.T) {
	t.Parallel()
	s := refreshtest.Real(t)
	var queries atomic.Int32
	require.NoError(t, s.DB.Callback().Query().Before("gorm:query").Register("count", func(*gorm.DB) { queries.Add(1) }))
	p := open(t, s, 0)
	var readers sync.WaitGroup
	for range 100 {
		readers.Go(func() {
			if _, err := p.Get(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	readers.Wait()
	require.EqualValues(t, 1, queries.Load())
}

func TestStrategies(t *testing.T) {
	t.Parallel()
	old, both := []string{"old"}, []string{"old", "new"}
	for name, want := range map[string]struct {
		cached []string // right after the write
		tasks  int
	}{
		"":                       {nil, 1},
		"delete":                 {nil, 1},
		"update":                 {both, 1},
		"periodic":               {old, 0},
		"delete,periodic":        {nil, 1},
		"update, periodic":       {both, 1},
		"delete,update":          {both, 1},
		"delete,update,periodic": {both, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			strategy, err := cache.ParseStrategy(name)
			require.NoError(t, err)
			s := refreshtest.Real(t)
			s.Outbox(t)
			p := open(t, s, strategy)
			require.NoError(t, s.DB.Create(&shop.Banner{Title: "old", Image: "/1", IsShow: true}).Error)
			_, err = p.Get(t.Context())
			require.NoError(t, err)
			write(t, p, visible("new"))
			require.Equal(t, want.cached, cachedTitles(t, s.Redis))
			require.Equal(t, want.tasks, s.Waiting(t))

			work(t, s, p)
			made, err := banners.Refresh.Enqueue(t.Context(), s.Client, banners.RefreshArgs{})
			require.NoError(t, err)
			n, err := made.Get(testenv.Soon(t))
			require.NoError(t, err)
			require.Equal(t, 2, n)
			require.Equal(t, both, cachedTitles(t, s.Redis), "the schedule's task helps with any of them")
		})
	}
	for _, wrong := range []string{"write-behind", "delete,", ",", "delete|update", "Delete"} {
		_, err := cache.ParseStrategy(wrong)
		require.Error(t, err, wrong)
	}
}

func TestAWriteThatFailsChangesNothing(t *testing.T) {
	refreshtest.Each(t, func(t *testing.T, s refreshtest.Site) {
		s.Outbox(t)
		p := open(t, s, 0)
		write(t, p, visible("one"))
		_, err := p.Get(t.Context())
		require.NoError(t, err)
		before := s.Waiting(t)
		err = p.Write(t.Context(), func(tx *gorm.DB) error {
			require.NoError(t, tx.Create(&shop.Banner{Title: "two", IsShow: true}).Error)
			return gorm.ErrInvalidData
		})
		require.ErrorIs(t, err, gorm.ErrInvalidData)
		require.Equal(t, []string{"one"}, cachedTitles(t, s.Redis))
		require.LessOrEqual(t, s.Waiting(t), before)
	})
}

func TestAFailedUpdateDropsTheList(t *testing.T) {
	t.Parallel()
	s := refreshtest.Real(t)
	s.Outbox(t)
	p := open(t, s, cache.UpdateOnWrite)
	_, err := p.Get(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, refreshtest.Cached(t, s.Redis, banners.Key))
	require.NoError(t, p.Write(t.Context(), func(tx *gorm.DB) error { return tx.Migrator().DropTable(&shop.Banner{}) }))
	require.Empty(t, refreshtest.Cached(t, s.Redis, banners.Key), "without the list the cache is true")
}

func TestWithoutRedisBannersComeFromTheDatabase(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	s := refreshtest.Open(t, testenv.MySQL(t), server.URL(0), taskstest.Embedded(t))
	s.Outbox(t)
	p := open(t, s, 0)
	write(t, p, visible("one"))
	server.Stop()
	for range 3 {
		got, err := p.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"one"}, titles(got))
	}
}

func TestChangeOfOneBanner(t *testing.T) {
	refreshtest.Each(t, func(t *testing.T, s refreshtest.Site) {
		s.Outbox(t)
		p := open(t, s, 0)
		row := visible("old")
		require.NoError(t, p.Create(t.Context(), &row))
		require.Equal(t, []string{"old"}, titlesNow(t, p))
		changed, err := p.Change(t.Context(), row.ID, func(b *shop.Banner) { b.Title = "new" })
		require.NoError(t, err)
		require.Equal(t, "new", changed.Title)
		require.Equal(t, []string{"new"}, titlesNow(t, p))
		_, err = p.Change(t.Context(), row.ID, func(b *shop.Banner) { b.IsDelete = true })
		require.NoError(t, err)
		require.Empty(t, titlesNow(t, p))
		_, err = p.Change(t.Context(), row.ID, func(*shop.Banner) { t.Error("a deleted row is changed") })
		require.ErrorIs(t, err, banners.ErrUnknown)
	})
}

func titlesNow(t *testing.T, list *banners.List) []string {
	t.Helper()
	got, err := list.Get(t.Context())
	require.NoError(t, err)
	return titles(got)
}
