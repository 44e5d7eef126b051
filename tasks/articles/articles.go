// Package articles keeps articles and what is cached of them.
package articles

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/refresh"
)

// CacheName is the name of the cache, in changes and in the arguments of refresh.all.
const CacheName = "articles"

// Key is where an article is cached, as an Article in JSON. Other programs may read it.
func Key(id int64) string { return "article:" + strconv.FormatInt(id, 10) + ":info" }

// Article is an article as it is cached, and as everybody sees it.
type Article struct {
	ID        int64     `json:"id"`
	UserID    int64     `json:"user_id"`
	Title     string    `json:"title"`
	Content   string    `json:"content"`
	CreatedAt time.Time `json:"created_at"` // UTC
	UpdatedAt time.Time `json:"updated_at"` // UTC
}

func newArticle(a shop.Article) Article {
	return Article{
		ID: a.ID, UserID: a.UserID, Title: a.Title, Content: a.Content,
		CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC(),
	}
}

// ErrNoAuthor says that the user who writes an article does not exist.
var ErrNoAuthor = errors.New("there is no such author")

// Options configure Articles.
type Options struct {
	// Created lists what else a new article of the user makes untrue. Nil: nothing.
	Created func(userID int64) []cache.Change
}

// Articles are the articles behind their cache. They are safe for concurrent use.
type Articles struct {
	db    *gorm.DB
	store *cache.Store
	cache *cache.Cache[int64, Article]
	opt   Options
}

// maxNear is how many articles a process keeps, of up to some 80 KiB each.
const maxNear = 500

// New makes the articles of a database, and registers their cache with the store.
func New(db *gorm.DB, store *cache.Store, opt Options) *Articles {
	a := &Articles{db: db, store: store, opt: opt}
	a.cache = cache.New(store, cache.Config[int64, Article]{
		Name:       CacheName,
		Key:        Key,
		Load:       a.load,
		Expiry:     time.Hour,
		Jitter:     5 * time.Minute,
		NullExpiry: 5 * time.Minute,
		NullJitter: time.Minute,
		Valid:      func(id int64, a Article) bool { return a.ID == id && a.UserID > 0 },
		Near:       maxNear,
	})
	return a
}

// Get returns an article, or cache.ErrNull when there is no such article.
func (a *Articles) Get(ctx context.Context, id int64) (Article, error) { return a.cache.Get(ctx, id) }

// Clear drops what is cached of articles. Call it after changing them behind this program's back.
func (a *Articles) Clear(ctx context.Context, ids ...int64) error { return a.cache.Clear(ctx, ids...) }

// Cache is where the articles are cached.
func (a *Articles) Cache() *cache.Cache[int64, Article] { return a.cache }

// Changes are what a write to articles, in a transaction of the caller's, has to give to Store.Write.
func (a *Articles) Changes(ids ...int64) []cache.Change { return a.cache.Changes(ids...) }

// Kind lets refresh.All rewrite the articles.
func (a *Articles) Kind() refresh.Kind {
	return refresh.TableKind(CacheName, a.db, &shop.Article{}, a.cache)
}

// Create publishes an article; each call makes another one. It returns ErrNoAuthor when there is no such user.
func (a *Articles) Create(ctx context.Context, userID int64, title, content string) (Article, error) {
	row := shop.Article{UserID: userID, Title: title, Content: content}
	err := a.store.Write(ctx, a.db, func(tx *gorm.DB) ([]cache.Change, error) {
		var author shop.User
		if err := tx.Select("id").Take(&author, userID).Error; err != nil {
			if errors.Is(err, gorm.ErrRecordNotFound) {
				err = ErrNoAuthor
			}
			return nil, fmt.Errorf("reading user %d: %w", userID, err)
		}
		row.ID = 0
		if err := tx.Create(&row).Error; err != nil {
			return nil, fmt.Errorf("creating an article: %w", err)
		}
		changes := a.Changes(row.ID) // someone may have asked for the id before, and that it was null is cached
		if a.opt.Created != nil {
			changes = append(changes, a.opt.Created(userID)...)
		}
		return changes, nil
	})
	if err != nil {
		return Article{}, err
	}
	return newArticle(row), nil
}

func (a *Articles) load(ctx context.Context, ids []int64) (map[int64]Article, error) {
	var rows []shop.Article
	if err := a.db.WithContext(ctx).Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("reading articles: %w", err)
	}
	found := make(map[int64]Article, len(rows))
	for _, row := range rows {
		found[row.ID] = newArticle(row)
	}
	return found, nil
}
