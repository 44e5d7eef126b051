package shop_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

func TestSeed(t *testing.T) {
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		now := time.Now()
		const programs = 4
		var seeded [programs]bool
		var group errgroup.Group
		for i := range programs {
			group.Go(func() (err error) {
				seeded[i], err = shop.Seed(t.Context(), db, now, nil)
				return err
			})
		}
		require.NoError(t, group.Wait())
		count := 0
		for _, one := range seeded {
			if one {
				count++
			}
		}
		require.Equal(t, 1, count, "exactly one seeds")

		var banners []shop.Banner
		require.NoError(t, db.Order("orders").Find(&banners).Error)
		require.Len(t, banners, 4)
		hidden := 0
		for _, banner := range banners {
			require.Regexp(t, `^/media/banner-[1-4]\.svg$`, banner.Image)
			if !banner.IsShow {
				hidden++
			}
		}
		require.Equal(t, 1, hidden)

		var onSale, later, over int64
		goods := func() *gorm.DB { return db.Model(&shop.Goods{}).Where("stock > 0 AND price > 0") }
		require.NoError(t, goods().Where("starts_at <= ? AND ends_at > ?", now, now.Add(7*24*time.Hour)).Count(&onSale).Error)
		require.NoError(t, goods().Where("starts_at > ?", now.Add(time.Hour)).Count(&later).Error)
		require.NoError(t, goods().Where("ends_at < ?", now).Count(&over).Error)
		require.Equal(t, []int64{2, 1, 1}, []int64{onSale, later, over})

		var dangling int64
		for _, query := range []string{
			"SELECT COUNT(*) FROM followings WHERE user_id = target_id OR user_id NOT IN (SELECT id FROM users) OR target_id NOT IN (SELECT id FROM users)",
			"SELECT COUNT(*) FROM articles WHERE user_id NOT IN (SELECT id FROM users)",
		} {
			require.NoError(t, db.Raw(query).Scan(&dangling).Error)
			require.Zero(t, dangling, query)
		}
		var followings, articles int64
		require.NoError(t, db.Model(&shop.Following{}).Count(&followings).Error)
		require.NoError(t, db.Model(&shop.Article{}).Where("created_at < ?", now).Count(&articles).Error)
		require.NotZero(t, followings)
		require.NotZero(t, articles)
	})
}

func TestSeedLeavesAnUsedDatabaseAlone(t *testing.T) {
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Create(&shop.User{Mobile: "13900139000"}).Error)
		seeded, err := shop.Seed(t.Context(), db, time.Now(), nil)
		require.NoError(t, err)
		require.False(t, seeded)
		var users, banners int64
		require.NoError(t, db.Model(&shop.User{}).Count(&users).Error)
		require.NoError(t, db.Model(&shop.Banner{}).Count(&banners).Error)
		require.EqualValues(t, 1, users)
		require.Zero(t, banners)
	})
}

func TestSeedFailsWholeWithoutTables(t *testing.T) {
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Migrator().DropTable(&shop.Article{}))
		seeded, err := shop.Seed(t.Context(), db, time.Now(), nil)
		require.ErrorContains(t, err, "seeding the database")
		require.False(t, seeded)
		var users int64
		require.NoError(t, db.Model(&shop.User{}).Count(&users).Error)
		require.Zero(t, users)
		require.NotContains(t, strings.ToLower(err.Error()), "lock")
	})
}

func TestSeedTellsWhatItMade(t *testing.T) {
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		refused := errors.New("not now")
		seeded, err := shop.Seed(t.Context(), db, time.Now(), func(*gorm.DB, shop.Seeded) error { return refused })
		require.ErrorIs(t, err, refused)
		require.False(t, seeded)
		var users int64
		require.NoError(t, db.Model(&shop.User{}).Count(&users).Error)
		require.Zero(t, users, "all or nothing")

		var made shop.Seeded
		seeded, err = shop.Seed(t.Context(), db, time.Now(), func(tx *gorm.DB, m shop.Seeded) error {
			made = m
			return tx.Create(&shop.Banner{Title: "in the same transaction"}).Error
		})
		require.NoError(t, err)
		require.True(t, seeded)
		var ids, articles []int64
		require.NoError(t, db.Model(&shop.User{}).Order("id").Pluck("id", &ids).Error)
		require.NoError(t, db.Model(&shop.Article{}).Order("id").Pluck("id", &articles).Error)
		require.Len(t, made.Users, len(ids))
		for i, id := range ids {
			require.Equal(t, id, made.Users[i].ID)
		}
		require.Len(t, made.Articles, len(articles))
		for i, id := range articles {
			require.Equal(t, id, made.Articles[i].ID)
		}
		require.NotEmpty(t, made.Followings)

		seeded, err = shop.Seed(t.Context(), db, time.Now(), func(*gorm.DB, shop.Seeded) error { return refused })
		require.NoError(t, err, "it has nothing to tell")
		require.False(t, seeded)
	})
}

func TestMain(m *testing.M) { testenv.Main(m) }

// eachMigrated runs the test on a database of each kind that has its tables.
func eachMigrated(t *testing.T, test func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	for name, databaseURL := range map[string]func() string{
		"mysql":  func() string { return testenv.MySQL(t) },
		"sqlite": func() string { return "sqlite://:memory:" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, databaseURL())
			require.NoError(t, shop.Migrate(t.Context(), db))
			test(t, db)
		})
	}
}

func open(t *testing.T, databaseURL string) *gorm.DB {
	t.Helper()
	db, err := models.Open(t.Context(), databaseURL, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	return db
}
