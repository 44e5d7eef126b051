package catalog

import (
	"gorm.io/gorm"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks/refresh"
)

// Features are what stands on the caches. The API answers from them and the handlers of tasks keep them true. A program
// makes them once, for a store takes each cache once.
//
// A new one is added here, to the struct and to NewFeatures.
type Features struct {
	Store    *cache.Store
	Banners  *refresh.BannerList
	Profiles *refresh.Profiles
	Articles *refresh.Articles
}

// FeatureOptions configure Features.
type FeatureOptions struct {
	Banners refresh.BannerOptions
}

// NewFeatures makes the features of a database and of the store of its caches.
func NewFeatures(db *gorm.DB, store *cache.Store, opt FeatureOptions) Features {
	return Features{
		Store:    store,
		Banners:  refresh.NewBannerList(db, store, opt.Banners),
		Profiles: refresh.NewProfiles(db, store, refresh.ProfileOptions{}),
		Articles: refresh.NewArticles(db, store, refresh.ArticleOptions{}),
	}
}

// kinds are what refresh.all can rewrite.
func (f Features) kinds() []refresh.Kind {
	return []refresh.Kind{f.Banners.Kind(), f.Profiles.Kind(), f.Articles.Kind()}
}
