package refresh

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
)

// BannersKey is where the list is cached, as JSON. Other programs may read it.
const BannersKey = "home_banner_list"

// Strategy is what a committed write to the banners does to the cached list.
type Strategy string

const (
	// DeleteOnWrite drops the list; the next reader fills it. It is the zero Strategy's meaning too.
	DeleteOnWrite Strategy = "delete"
	// UpdateOnWrite rewrites the list at once.
	UpdateOnWrite Strategy = "update"
	// Periodic leaves the list to the scheduled refresh.Banners task.
	Periodic Strategy = "periodic"
)

// strategies are what they mean to the cache.
var strategies = map[Strategy]cache.Strategy{
	DeleteOnWrite: cache.DeleteOnWrite,
	UpdateOnWrite: cache.UpdateOnWrite,
	Periodic:      cache.Periodic,
}

// ParseStrategy reads a strategy's name; "" is DeleteOnWrite.
func ParseStrategy(name string) (Strategy, error) {
	switch s := Strategy(name); s {
	case "":
		return DeleteOnWrite, nil
	case DeleteOnWrite, UpdateOnWrite, Periodic:
		return s, nil
	}
	return "", fmt.Errorf("banner strategy %q: want delete, update or periodic", name)
}

// Banner is one picture of the carousel as clients see it.
type Banner struct {
	ID     int64  `json:"id"`
	Title  string `json:"title"`
	Image  string `json:"image"` // absolute URL
	Link   string `json:"link"`
	Orders int    `json:"orders"` // position, ascending
}

// BannerOptions configures a BannerList.
type BannerOptions struct {
	BackendURL string   // absolute; goes before image paths
	Count      int      // the longest list; 3 when 0
	Strategy   Strategy // DeleteOnWrite when empty
}

// BannerList is the list of visible banners behind its cache. It is safe for concurrent use.
type BannerList struct {
	db       *gorm.DB
	store    *cache.Store
	list     *cache.List[Banner]
	backend  string
	count    int
	strategy Strategy
}

const defaultCount = 3

// NewBannerList makes the list over a database and the caches' store, which can have one.
func NewBannerList(db *gorm.DB, store *cache.Store, opt BannerOptions) *BannerList {
	if opt.Count <= 0 {
		opt.Count = defaultCount
	}
	if opt.Strategy == "" {
		opt.Strategy = DeleteOnWrite
	}
	b := &BannerList{
		db:       db,
		store:    store,
		backend:  strings.TrimRight(opt.BackendURL, "/"),
		count:    opt.Count,
		strategy: opt.Strategy,
	}
	b.list = cache.NewList(store, cache.ListConfig[Banner]{
		Name:     "banners",
		Key:      BannersKey,
		Load:     b.load,
		Strategy: strategies[opt.Strategy],
	})
	return b
}

// Get returns the visible banners by position: from the cache, else from the database, which then fills the cache.
// The callers share the slice and must not change it.
func (b *BannerList) Get(ctx context.Context) ([]Banner, error) { return b.list.Get(ctx) }

// Refresh rewrites the cached list from the database and returns it.
func (b *BannerList) Refresh(ctx context.Context) ([]Banner, error) { return b.list.Refresh(ctx) }

// A process can die between its commit and Changed. So Changing has the list rewritten repairAfter a write began, and
// the write has to be over by then, with a margin for its commit to reach the database.
const (
	// WriteLimit is within how long of Changing a write must have committed or been given up.
	WriteLimit  = 2 * time.Second
	repairAfter = WriteLimit + time.Second
	// repairUntil is when the list has expired by itself, so that nothing is left to repair.
	repairUntil = 15 * time.Minute
	// repairTries goes on, with the task's backoff, for about five minutes of a cache that is away.
	repairTries = 30
)

// Changing announces a write to the banners. Call it first, do not write if it fails, commit within WriteLimit, and
// then call Changed: whatever becomes of that, the cached list is true to the write a few seconds later. With Periodic
// it does nothing.
func (b *BannerList) Changing(ctx context.Context, client *tasks.Client) error {
	if b.strategy == Periodic {
		return nil
	}
	_, err := Banners.Enqueue(ctx, client, BannersArgs{},
		tasks.Countdown(repairAfter), tasks.ExpiresIn(repairUntil), tasks.MaxRetries(repairTries))
	if err != nil {
		return fmt.Errorf("announcing a change of the banners: %w", err)
	}
	return nil
}

// Changed makes the cache true after a committed write, as the strategy says. It may be called again after an error.
func (b *BannerList) Changed(ctx context.Context) error {
	return b.store.Apply(ctx, "", b.list.Changes())
}

func (b *BannerList) load(ctx context.Context) ([]Banner, error) {
	var rows []models.Banner
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
func (b *BannerList) Absolute(image string) string {
	if u, err := url.Parse(image); err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
		return image
	}
	return b.backend + "/" + strings.TrimLeft(image, "/")
}
