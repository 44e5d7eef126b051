package profiles_test

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/profiles"
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

// Users come from the cache, and so does the knowledge that there is no such user.
func ExampleProfiles() {
	ctx := context.Background()
	db, store, end := openExample(ctx)
	defer end()
	users := profiles.New(db, store)
	fmt.Println(users.Exists(ctx, 1))

	ann, err := users.Create(ctx, "13800138000")
	check(err)
	fmt.Println(users.Exists(ctx, ann.ID))

	name := "Ann"
	_, err = users.Update(ctx, ann.ID, profiles.Change{Name: &name})
	check(err)
	got, err := users.Get(ctx, ann.ID)
	check(err)
	fmt.Println(got.Name, got.Mobile)
	fmt.Printf("%+v\n", got.Public())
	// Output:
	// false <nil>
	// true <nil>
	// Ann 13800138000
	// {ID:1 Name:Ann Photo: Intro: Certi:}
}
