package cache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
)

// openExample opens a database in memory and a store of caches on an embedded Redis. A program gives its store an
// Announcer, too: see package tasks/refresh.
func openExample(ctx context.Context) (db *gorm.DB, store *cache.Store, end func()) {
	db, err := models.Open(ctx, "sqlite://:memory:", models.Options{})
	check(err)
	check(shop.Migrate(ctx, db))
	server := miniredis.NewMiniRedis()
	check(server.Start())
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	store, err = cache.NewStore(rdb, cache.StoreOptions{})
	check(err)
	return db, store, func() {
		store.Close()
		check(rdb.Close())
		server.Close()
		check(models.Close(db))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// Values come from the cache, and so does the knowledge that there is none; a write is seen by whoever reads after it.
func ExampleCache() {
	ctx := context.Background()
	db, store, end := openExample(ctx)
	defer end()
	names := cache.New(store, cache.Config[int64, string]{
		Name:   "goods-names",
		Key:    func(id int64) string { return fmt.Sprintf("goods:%d:name", id) },
		Expiry: time.Hour,
		Load: func(ctx context.Context, ids []int64) (map[int64]string, error) {
			fmt.Println("the database is asked for", ids)
			var goods []shop.Goods
			err := db.WithContext(ctx).Find(&goods, ids).Error
			found := map[int64]string{}
			for _, g := range goods {
				found[g.ID] = g.Name
			}
			return found, err
		},
	})
	_, err := names.Get(ctx, 1)
	fmt.Println(errors.Is(err, cache.ErrNull))
	fmt.Println(names.Exists(ctx, 1))

	err = store.Write(ctx, db, func(tx *gorm.DB) ([]cache.Change, error) {
		return names.Changes(1), tx.Create(&shop.Goods{ID: 1, Name: "keyboard"}).Error
	})
	check(err)
	for range 2 {
		fmt.Println(names.Get(ctx, 1))
	}
	fmt.Println(names.GetMany(ctx, []int64{1, 2}))
	// Output:
	// the database is asked for [1]
	// true
	// false <nil>
	// the database is asked for [1]
	// keyboard <nil>
	// keyboard <nil>
	// the database is asked for [2]
	// map[1:keyboard] <nil>
}

// A list is one value. Encoded is for handlers: the bytes and their entity tag are made once.
func ExampleList() {
	ctx := context.Background()
	db, store, end := openExample(ctx)
	defer end()
	list := cache.NewList(store, cache.ListConfig[string]{
		Name:     "goods",
		Key:      "goods_names",
		Expiry:   time.Hour,
		Strategy: cache.UpdateOnWrite,
		Near:     1,
		Load: func(ctx context.Context) (names []string, err error) {
			err = db.WithContext(ctx).Model(&shop.Goods{}).Order("name").Pluck("name", &names).Error
			return names, err
		},
	})
	fmt.Println(list.Get(ctx))

	err := store.Write(ctx, db, func(tx *gorm.DB) ([]cache.Change, error) {
		goods := []shop.Goods{{Name: "mouse"}, {Name: "keyboard"}}
		return list.Changes(), tx.Create(&goods).Error
	})
	check(err)
	data, etag, err := list.Encoded(ctx)
	fmt.Println(string(data), etag, err)
	// Output:
	// [] <nil>
	// ["keyboard","mouse"] "_OBqT_sNxOTya9ZpZ5Pd" <nil>
}
