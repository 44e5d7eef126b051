package program

import (
	"fmt"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks/refresh"
)

// openCaches makes the program's one store of caches, where it has a Redis for them, and has it listen for what other
// processes change for as long as the program runs.
func (e *Env) openCaches() (err error) {
	if e.Stores.Cache == nil {
		return nil
	}
	e.Caches, err = cache.NewStore(e.Stores.Cache, cache.StoreOptions{
		Registry: e.Registry,
		Logger:   e.Logger,
	})
	return err
}

// closeCaches ends what they read of the database for nobody any more.
func (e *Env) closeCaches() {
	if e.Caches != nil {
		e.Caches.Close()
	}
}

// addCaches has the caches hear what other processes change. They stop after the parts that read them.
func (e *Env) addCaches() { e.group.Add("cache", e.Caches.Run) }

// banners are the program's one list of banners.
func (e *Env) banners() (*refresh.BannerList, error) {
	if e.bannerList != nil {
		return e.bannerList, nil
	}
	strategy, err := refresh.ParseStrategy(e.Config.BannerStrategy)
	if err != nil {
		return nil, fmt.Errorf("PAIDUI_BANNER_STRATEGY: %w", err)
	}
	e.bannerList = refresh.NewBannerList(e.Stores.DB, e.Caches, refresh.BannerOptions{
		BackendURL: e.Config.BackendURL,
		Count:      e.Config.BannerCount,
		Strategy:   strategy,
	})
	return e.bannerList, nil
}
