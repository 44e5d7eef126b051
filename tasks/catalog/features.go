package catalog

import (
	"log/slog"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/articles"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/counter"
	"github.com/paidui/paidui/tasks/following"
	"github.com/paidui/paidui/tasks/profiles"
	"github.com/paidui/paidui/tasks/refresh"
)

// Features are what stands on the caches. The API answers from them and the handlers of tasks keep them true. A program
// makes them once, for a store takes each cache once.
//
// A new one is added here, to the struct and to NewFeatures.
type Features struct {
	Store      *cache.Store
	Banners    *banners.List
	Profiles   *profiles.Profiles
	Articles   *articles.Articles
	Counters   *counter.Counters
	Followings *following.Followings
}

// FeatureOptions configure Features.
type FeatureOptions struct {
	DB      *gorm.DB
	Store   *cache.Store
	Client  *tasks.Client
	Banners banners.Options
	Logger  *slog.Logger // slog.Default() when nil
}

// NewFeatures makes the features of a database and of the store of its caches.
func NewFeatures(opt FeatureOptions) Features {
	db, store := opt.DB, opt.Store
	profiles := profiles.New(db, store)
	return Features{
		Store:    store,
		Banners:  banners.New(db, store, opt.Banners),
		Profiles: profiles,
		Articles: articles.New(db, store, articles.Options{Created: articleCreated}),
		Counters: counter.New(counter.Options{DB: db, Store: store, Profiles: profiles, Tasks: opt.Client, Logger: opt.Logger}),
		Followings: following.New(store, db, following.Options{
			Exists: profiles.Exists, Counted: followed, Logger: opt.Logger,
		}),
	}
}

// followed is what it makes untrue, beside the list, that a user begins to follow another, or by -1 ceases to.
func followed(user, target int64, by int) []cache.Change {
	return []cache.Change{
		counter.Change(counter.Followings, user, int64(by)),
		counter.Change(counter.Followers, target, int64(by)),
	}
}

// articleCreated is what an article makes untrue beside itself.
func articleCreated(userID int64) []cache.Change {
	return []cache.Change{counter.Change(counter.Articles, userID, +1)}
}

// kinds are what refresh.all can rewrite.
func (f Features) kinds() []refresh.Kind {
	return []refresh.Kind{f.Banners.Kind(), f.Profiles.Kind(), f.Articles.Kind()}
}
