package refresh_test

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/refresh"
)

// openExample opens a database in memory that has an outbox, and a store of caches on an embedded Redis.
func openExample(ctx context.Context) (db *gorm.DB, store *cache.Store, end func()) {
	db, err := models.Open(ctx, "sqlite://:memory:", models.Options{})
	check(err)
	check(shop.Migrate(ctx, db))
	redis, err := embedded.Start(ctx)
	check(err)
	b, err := broker.Open(ctx, redis.URL(1), broker.Options{})
	check(err)
	ob, err := outbox.New(db, tasks.NewClient(b), outbox.Options{})
	check(err)
	check(db.Use(ob))
	rdb, err := redisx.Connect(ctx, "CACHE_URL", redis.URL(2))
	check(err)
	store, err = cache.NewStore(rdb, cache.StoreOptions{Announcer: refresh.Announcer{}})
	check(err)
	return db, store, func() {
		store.Close()
		check(rdb.Close())
		check(b.Close())
		redis.Close()
		check(models.Close(db))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// A cache of one's own: its writes go through Store.Write, which commits the row together with a refresh.changed task.
// What is read after it is new; and if this process dies before it has told the cache, or Redis is away, the task does.
func ExampleAnnouncer() {
	ctx := context.Background()
	db, store, end := openExample(ctx)
	defer end()
	prices := cache.New(store, cache.Config[int64, int64]{
		Name:   "prices",
		Key:    func(id int64) string { return fmt.Sprintf("goods:%d:price", id) },
		Expiry: time.Hour,
		Load: func(ctx context.Context, ids []int64) (map[int64]int64, error) {
			var goods []shop.Goods
			err := db.WithContext(ctx).Find(&goods, ids).Error
			found := map[int64]int64{}
			for _, g := range goods {
				found[g.ID] = g.Price
			}
			return found, err
		},
	})
	now := time.Now()
	check(db.Create(&shop.Goods{ID: 1, Name: "keyboard", Price: 9900, StartsAt: now, EndsAt: now}).Error)
	fmt.Println(prices.Get(ctx, 1))

	err := store.Write(ctx, db, func(tx *gorm.DB) ([]cache.Change, error) {
		err := tx.Model(&shop.Goods{ID: 1}).Update("price", 8800).Error
		return prices.Changes(1), err
	})
	check(err)
	fmt.Println(prices.Get(ctx, 1))

	var kept models.OutboxRow
	check(db.Take(&kept).Error)
	fmt.Println("kept until it has run:", kept.Task)
	// Output:
	// 9900 <nil>
	// 8800 <nil>
	// kept until it has run: refresh.changed
}
