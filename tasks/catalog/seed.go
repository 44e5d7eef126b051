package catalog

import (
	"context"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/articles"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/counter"
	"github.com/paidui/paidui/tasks/profiles"
	"github.com/paidui/paidui/tasks/refresh"
)

// Seed is shop.Seed for a database with an outbox: what running programs have cached of the empty database, such as a
// banner list without banners, follows. It reports false when there was nothing to seed.
func Seed(ctx context.Context, db *gorm.DB, now time.Time) (seeded bool, err error) {
	return shop.Seed(ctx, db, now, func(tx *gorm.DB, made shop.Seeded) error {
		_, err := refresh.Announcer{}.Announce(ctx, tx, seedChanges(made))
		return err
	})
}

// seedChanges are what seeding makes untrue.
func seedChanges(made shop.Seeded) []cache.Change {
	changes := []cache.Change{banners.Change}
	for _, u := range made.Users {
		changes = append(changes, cache.Change{Cache: profiles.CacheName, ID: strconv.FormatInt(u.ID, 10)})
	}
	for _, a := range made.Articles {
		changes = append(changes, cache.Change{Cache: articles.CacheName, ID: strconv.FormatInt(a.ID, 10)})
		changes = append(changes, articleCreated(a.UserID)...)
	}
	for _, f := range made.Followings {
		changes = append(changes,
			counter.Change(counter.Followings, f.UserID, +1),
			counter.Change(counter.Followers, f.TargetID, +1))
	}
	return changes
}
