package boot

import (
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks/refresh"
)

// openCaches makes the program's one store of caches, where it has a Redis for them.
func (e *Env) openCaches() (err error) {
	if e.Stores.Cache == nil {
		return nil
	}
	e.Caches, err = cache.NewStore(e.Stores.Cache, cache.StoreOptions{
		Announcer:  refresh.Announcer{},
		Replica:    e.Stores.CacheReplica,
		Registry:   e.Registry,
		Logger:     e.Logger,
		Near:       e.Config.CacheNear,
		NoNear:     e.Config.CacheNear == 0 || e.Config.CacheNearExpiry == 0,
		NearExpiry: e.Config.CacheNearExpiry,
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
