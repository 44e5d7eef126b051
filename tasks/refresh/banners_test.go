package refresh_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks/refresh"
	"github.com/paidui/paidui/tasks/taskstest"
)

// write adds banners through the process.
func (p process) write(t *testing.T, banners ...models.Banner) {
	t.Helper()
	require.NoError(t, p.banners.Write(t.Context(), func(tx *gorm.DB) error { return tx.Create(&banners).Error }))
}

func visible(title string) models.Banner {
	return models.Banner{Title: title, Image: "/x.png", IsShow: true}
}

func TestGetShowsVisibleBannersInOrder(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		s.outbox(t)
		p := s.process(t, nil, 0)
		got, err := p.banners.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, []refresh.Banner{}, got)
		require.Equal(t, "[]", cached(t, s.redis, refresh.BannersKey))

		p.write(t,
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
		got, err = p.banners.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, []string{"first", "second", "third"}, cachedBanners(t, s.redis))
	})
}

func TestManyMissesMakeOneQuery(t *testing.T) {
	t.Parallel()
	s := realSite(t)
	var queries atomic.Int32
	require.NoError(t, s.db.Callback().Query().Before("gorm:query").Register("count", func(*gorm.DB) { queries.Add(1) }))
	p := s.process(t, nil, 0)
	var readers sync.WaitGroup
	for range 100 {
		readers.Go(func() {
			if _, err := p.banners.Get(t.Context()); err != nil {
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
			s := realSite(t)
			s.outbox(t)
			p := s.process(t, nil, strategy)
			require.NoError(t, s.db.Create(&models.Banner{Title: "old", Image: "/1", IsShow: true}).Error)
			_, err = p.banners.Get(t.Context())
			require.NoError(t, err)
			p.write(t, visible("new"))
			require.Equal(t, want.cached, cachedBanners(t, s.redis))
			require.Equal(t, want.tasks, s.waiting(t))

			s.work(t, p)
			made, err := refresh.Banners.Enqueue(t.Context(), s.client, refresh.BannersArgs{})
			require.NoError(t, err)
			n, err := made.Get(testenv.Soon(t))
			require.NoError(t, err)
			require.Equal(t, 2, n)
			require.Equal(t, both, cachedBanners(t, s.redis), "the schedule's task helps with any of them")
		})
	}
	for _, wrong := range []string{"write-behind", "delete,", ",", "delete|update", "Delete"} {
		_, err := cache.ParseStrategy(wrong)
		require.Error(t, err, wrong)
	}
}

func TestAWriteThatFailsChangesNothing(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		s.outbox(t)
		p := s.process(t, nil, 0)
		p.write(t, visible("one"))
		_, err := p.banners.Get(t.Context())
		require.NoError(t, err)
		before := s.waiting(t)
		err = p.banners.Write(t.Context(), func(tx *gorm.DB) error {
			require.NoError(t, tx.Create(&models.Banner{Title: "two", IsShow: true}).Error)
			return gorm.ErrInvalidData
		})
		require.ErrorIs(t, err, gorm.ErrInvalidData)
		require.Equal(t, []string{"one"}, cachedBanners(t, s.redis))
		require.LessOrEqual(t, s.waiting(t), before)
	})
}

func TestAFailedUpdateDropsTheList(t *testing.T) {
	t.Parallel()
	s := realSite(t)
	s.outbox(t)
	p := s.process(t, nil, cache.UpdateOnWrite)
	_, err := p.banners.Get(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, cached(t, s.redis, refresh.BannersKey))
	require.NoError(t, p.banners.Write(t.Context(), func(tx *gorm.DB) error { return tx.Migrator().DropTable(&models.Banner{}) }))
	require.Empty(t, cached(t, s.redis, refresh.BannersKey), "without the list the cache is true")
}

func TestWithoutRedisBannersComeFromTheDatabase(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	s := openSite(t, testenv.MySQL(t), server.URL(0), taskstest.Embedded(t))
	s.outbox(t)
	p := s.process(t, nil, 0)
	p.write(t, visible("one"))
	server.Stop()
	for range 3 {
		got, err := p.banners.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"one"}, titlesOf(got))
	}
}
