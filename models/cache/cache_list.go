package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ListConfig is one cached list. Name, Key and Load are required; the rest is as in Config.
type ListConfig[T any] struct {
	Name string // in Change.Cache, metrics and the log; one of a kind in its Store
	Key  string // where the list is in Redis; must hold no braces
	// Load reads the list from the database.
	Load func(ctx context.Context) ([]T, error)
	// Valid tells whether one of the list that Redis holds can be; see Config.Valid.
	Valid func(T) bool
	// View is what Encoded shows of the list, to be encoded as JSON; nil is the list.
	View func([]T) any

	Expiry, Jitter time.Duration
	Strategy       Strategy
	Near           int
	NearExpiry     time.Duration
	Stale          time.Duration
}

// List keeps one list. All methods may be called concurrently. The list is shared between callers, who must not change it.
type List[T any] struct{ cache *Cache[string, []T] }

// listID is the id of a list's only value.
const listID = "all"

// NewList makes a cached list and registers it with the store. It panics on a ListConfig that makes no sense.
func NewList[T any](s *Store, cfg ListConfig[T]) *List[T] {
	if cfg.Load == nil {
		panic(fmt.Sprintf("cache: list %q needs a Load", cfg.Name))
	}
	c := New(s, Config[string, []T]{
		Name: cfg.Name,
		Key:  func(string) string { return cfg.Key },
		Load: func(ctx context.Context, _ []string) (map[string][]T, error) {
			list, err := cfg.Load(ctx)
			if err != nil {
				return nil, err
			}
			if list == nil {
				list = []T{}
			}
			return map[string][]T{listID: list}, nil
		},
		Valid: func(_ string, list []T) bool {
			return list != nil && (cfg.Valid == nil || !slices.ContainsFunc(list, func(one T) bool { return !cfg.Valid(one) }))
		},
		neverNull:  true,
		View:       cfg.View,
		Expiry:     cfg.Expiry,
		Jitter:     cfg.Jitter,
		Strategy:   cfg.Strategy,
		Near:       cfg.Near,
		NearExpiry: cfg.NearExpiry,
		Stale:      cfg.Stale,
	})
	c.near.keepAll() // one
	return &List[T]{c}
}

// Get returns the list: from the cache, or else from the database, and then the cache has it.
func (l *List[T]) Get(ctx context.Context) ([]T, error) { return l.cache.Get(ctx, listID) }

// Encoded returns the JSON of what View shows of the list, and a strong entity tag of it. The caller must not change the
// JSON.
func (l *List[T]) Encoded(ctx context.Context) (data []byte, etag string, err error) {
	return l.cache.Encoded(ctx, listID)
}

// Refresh loads the list and stores it, whatever is cached, and returns it. An error says that it was not stored.
func (l *List[T]) Refresh(ctx context.Context) ([]T, error) {
	l.cache.forgetAll([]string{listID})
	defer l.cache.forgetAll([]string{listID})
	done, left, err := l.cache.rewrite(ctx, "", []string{listID}, false)
	if err == nil && len(left) > 0 {
		err = errors.New("it was being written all the while")
	}
	if err != nil {
		return nil, fmt.Errorf("refreshing the list %s: %w", l.cache.cfg.Name, err)
	}
	return done[0].value, nil
}

// Clear takes the list from the cache. Call it after the commit of a write that has no task, and no reader brings the
// old list back.
func (l *List[T]) Clear(ctx context.Context) error { return l.cache.Clear(ctx, listID) }

// Changes are what a write to the list's rows makes untrue, for Store.Write; none where the strategy does not follow
// writes.
func (l *List[T]) Changes() []Change { return l.cache.Changes(listID) }
