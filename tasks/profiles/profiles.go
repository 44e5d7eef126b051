// Package profiles keeps users and what is cached of them.
package profiles

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/refresh"
)

// CacheName is the name of the cache, in changes and in the arguments of refresh.all.
const CacheName = "users"

// Key is where a user's profile is cached, as a Profile in JSON. Other programs may read it.
func Key(id int64) string { return "user:" + strconv.FormatInt(id, 10) + ":profile" }

// Profile is what is cached of a user.
type Profile struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Mobile string `json:"mobile"`
	Photo  string `json:"photo"`
	Intro  string `json:"intro"`
	Certi  string `json:"certi"`
}

// Public is what everybody may see of a user.
type Public struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Photo string `json:"photo"`
	Intro string `json:"intro"`
	Certi string `json:"certi"`
}

// Public leaves the mobile number out.
func (p Profile) Public() Public {
	return Public{ID: p.ID, Name: p.Name, Photo: p.Photo, Intro: p.Intro, Certi: p.Certi}
}

func newProfile(u shop.User) Profile {
	return Profile{ID: u.ID, Name: u.Name, Mobile: u.Mobile, Photo: u.Photo, Intro: u.Intro, Certi: u.Certi}
}

// Change is what a user may change of himself. A field that is nil stays as it is.
type Change struct {
	Name  *string
	Photo *string
	Intro *string
}

// apply reports whether the user is another now.
func (c Change) apply(u *shop.User) bool {
	before := *u
	for to, from := range map[*string]*string{&u.Name: c.Name, &u.Photo: c.Photo, &u.Intro: c.Intro} {
		if from != nil {
			*to = *from
		}
	}
	return *u != before
}

// Profiles are the users behind their cache. They are safe for concurrent use.
type Profiles struct {
	db    *gorm.DB
	store *cache.Store
	cache *cache.Cache[int64, Profile]
}

// New makes the profiles of a database, and registers their cache with the store.
func New(db *gorm.DB, store *cache.Store) *Profiles {
	p := &Profiles{db: db, store: store}
	p.cache = cache.New(store, cache.Config[int64, Profile]{
		Name:       CacheName,
		Key:        Key,
		Load:       p.load,
		Expiry:     2 * time.Hour,
		Jitter:     10 * time.Minute,
		NullExpiry: 5 * time.Minute,
		NullJitter: time.Minute,
		Valid:      func(id int64, p Profile) bool { return p.ID == id },
		View:       func(p Profile) any { return p.Public() },
	})
	return p
}

// Get returns a user's profile, or cache.ErrNull when there is no such user.
func (p *Profiles) Get(ctx context.Context, id int64) (Profile, error) { return p.cache.Get(ctx, id) }

// GetMany returns the profiles of those users that exist.
func (p *Profiles) GetMany(ctx context.Context, ids []int64) (map[int64]Profile, error) {
	return p.cache.GetMany(ctx, ids)
}

// Exists tells whether there is such a user; that there is none is cached too.
func (p *Profiles) Exists(ctx context.Context, id int64) (bool, error) {
	return p.cache.Exists(ctx, id)
}

// Clear drops what is cached of users. Call it after changing them behind this program's back.
func (p *Profiles) Clear(ctx context.Context, ids ...int64) error { return p.cache.Clear(ctx, ids...) }

// Cache is where the profiles are cached; its encoded form is the Public.
func (p *Profiles) Cache() *cache.Cache[int64, Profile] { return p.cache }

// Changes are what a write to users, in a transaction of the caller's, has to give to Store.Write.
func (p *Profiles) Changes(ids ...int64) []cache.Change { return p.cache.Changes(ids...) }

// Kind lets refresh.All rewrite the users.
func (p *Profiles) Kind() refresh.Kind {
	return refresh.TableKind(CacheName, p.db, &shop.User{}, p.cache)
}

// ByMobile reads a user from the database, or returns cache.ErrNull.
func (p *Profiles) ByMobile(ctx context.Context, mobile string) (Profile, error) {
	return byMobile(p.db.WithContext(ctx), mobile)
}

func byMobile(db *gorm.DB, mobile string) (Profile, error) {
	var user shop.User
	err := db.Where("mobile = ?", mobile).Take(&user).Error
	if err != nil {
		return Profile{}, fmt.Errorf("reading a user: %w", absent(err))
	}
	return newProfile(user), nil
}

// Create makes the user of a mobile number, with a name that is made up, or finds the one that is there already.
func (p *Profiles) Create(ctx context.Context, mobile string) (Profile, error) {
	var made Profile
	err := p.store.Write(ctx, p.db, func(tx *gorm.DB) ([]cache.Change, error) {
		user := shop.User{Mobile: mobile, Name: "用户" + rand.Text()[:6]}
		done := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&user)
		if done.Error != nil {
			return nil, fmt.Errorf("creating a user: %w", done.Error)
		}
		var err error
		// After a conflict, which on MySQL has waited for the other's commit, and else for what the database made of it.
		if made, err = byMobile(tx, mobile); err != nil || done.RowsAffected == 0 {
			return nil, err
		}
		return p.Changes(made.ID), nil // someone may have asked for the id before, and that it was null is cached
	})
	return made, err
}

// Update changes a user, and returns the whole profile, or cache.ErrNull when there is no such user.
func (p *Profiles) Update(ctx context.Context, id int64, change Change) (Profile, error) {
	var user shop.User
	err := p.store.Write(ctx, p.db, func(tx *gorm.DB) ([]cache.Change, error) {
		user = shop.User{} // GORM would look for what an earlier try has left
		if err := tx.Clauses(forUpdate).Take(&user, id).Error; err != nil {
			return nil, fmt.Errorf("reading user %d: %w", id, absent(err))
		}
		if !change.apply(&user) {
			return nil, nil
		}
		if err := tx.Save(&user).Error; err != nil {
			return nil, fmt.Errorf("writing user %d: %w", id, err)
		}
		return p.Changes(id), nil
	})
	if err != nil {
		return Profile{}, err
	}
	return newProfile(user), nil
}

func (p *Profiles) load(ctx context.Context, ids []int64) (map[int64]Profile, error) {
	var users []shop.User
	err := p.db.WithContext(ctx).
		Select("id", "name", "mobile", "photo", "intro", "certi").
		Where("id IN ?", ids).Find(&users).Error
	if err != nil {
		return nil, fmt.Errorf("reading users: %w", err)
	}
	found := make(map[int64]Profile, len(users))
	for _, u := range users {
		found[u.ID] = newProfile(u)
	}
	return found, nil
}

// forUpdate locks the rows read until the transaction ends. SQLite, which has one writer at a time, ignores it.
var forUpdate = clause.Locking{Strength: clause.LockingStrengthUpdate}

// absent makes a row that is not there cache.ErrNull.
func absent(err error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return cache.ErrNull
	}
	return err
}
