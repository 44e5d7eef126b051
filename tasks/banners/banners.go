// Package banners keeps the banners of the home page and their cached list, which the task Refresh rewrites by schedule.
package banners

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/refresh"
)

// Key is where the list is cached, as JSON. Other programs may read it.
const Key = "home_banner_list"

// CacheName is the name of the cache, in changes and in the arguments of refresh.all.
const CacheName = "banners"

// Change is a change of the banners, for who writes them without a List.
var Change = cache.Change{Cache: CacheName, ID: "all"}

// Banner is one picture of the carousel as clients see it.
type Banner struct {
	ID     int64  `json:"id"`
	Title  string `json:"title"`
	Image  string `json:"image"` // absolute URL
	Link   string `json:"link"`
	Orders int    `json:"orders"` // position, ascending
}

// Options configures a List.
type Options struct {
	BackendURL string         // absolute; goes before image paths
	Count      int            // the longest list; 3 when 0
	Strategy   cache.Strategy // cache.DeleteOnWrite when 0
}

// List is the list of visible banners behind its cache. It is safe for concurrent use.
type List struct {
	db      *gorm.DB
	store   *cache.Store
	list    *cache.List[Banner]
	backend string
	count   int
}

const defaultCount = 3

// New makes the list of a database, and registers its cache with the store.
func New(db *gorm.DB, store *cache.Store, opt Options) *List {
	if opt.Count <= 0 {
		opt.Count = defaultCount
	}
	b := &List{db: db, store: store, backend: strings.TrimRight(opt.BackendURL, "/"), count: opt.Count}
	b.list = cache.NewList(store, cache.ListConfig[Banner]{
		Name:     CacheName,
		Key:      Key,
		Load:     b.load,
		Valid:    func(one Banner) bool { return one.ID > 0 },
		Expiry:   10 * time.Minute,
		Jitter:   time.Minute,
		Strategy: opt.Strategy,
		Near:     1,
	})
	return b
}

// Get returns the visible banners by position: from the cache, else from the database, which then fills the cache.
// The callers share the slice and must not change it.
func (b *List) Get(ctx context.Context) ([]Banner, error) { return b.list.Get(ctx) }

// Refresh rewrites the cached list from the database and returns it.
func (b *List) Refresh(ctx context.Context) ([]Banner, error) { return b.list.Refresh(ctx) }

// List is the list's cache.
func (b *List) List() *cache.List[Banner] { return b.list }

// Changes are what a write to the banners, in a transaction of the caller's, has to give to Store.Write.
func (b *List) Changes() []cache.Change { return b.list.Changes() }

// Kind lets refresh.All rewrite the banners, which are one value.
func (b *List) Kind() refresh.Kind {
	return refresh.Kind{
		Name:  CacheName,
		Total: func(context.Context) (int64, error) { return 1, nil },
		Next: func(ctx context.Context, after int64, n int) (refresh.Step, error) {
			if after > 0 {
				return refresh.Step{}, nil
			}
			if _, err := b.Refresh(ctx); err != nil {
				return refresh.Step{}, err
			}
			return refresh.Step{Read: 1, Last: 1, Stored: 1}, nil
		},
	}
}

func (b *List) load(ctx context.Context) ([]Banner, error) {
	var rows []shop.Banner
	err := b.db.WithContext(ctx).
		Where("is_delete = ? AND is_show = ?", false, true).
		Order("orders, id").Limit(b.count).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reading banners: %w", err)
	}
	list := make([]Banner, len(rows))
	for i, r := range rows {
		list[i] = Banner{ID: r.ID, Title: r.Title, Image: b.Absolute(r.Image), Link: r.Link, Orders: r.Orders}
	}
	return list, nil
}

// Absolute puts the backend's URL before an image path; an absolute http(s) URL stays as it is.
func (b *List) Absolute(image string) string {
	if u, err := url.Parse(image); err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
		return image
	}
	return b.backend + "/" + strings.TrimLeft(image, "/")
}
