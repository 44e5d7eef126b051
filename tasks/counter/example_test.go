package counter_test

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
	"github.com/paidui/paidui/tasks/counter"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/profiles"
	"github.com/paidui/paidui/tasks/refresh"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// Who inserts or deletes a row says so in the same transaction, and the count follows when that has committed.
func Example() {
	ctx := context.Background()
	db, err := models.Open(ctx, "sqlite://:memory:", models.Options{})
	check(err)
	defer func() { check(models.Close(db)) }()
	check(shop.Migrate(ctx, db))
	redis, err := embedded.Start(ctx)
	check(err)
	defer redis.Close()
	b, err := broker.Open(ctx, redis.URL(1), broker.Options{})
	check(err)
	defer func() { check(b.Close()) }()
	ob, err := outbox.New(db, tasks.NewClient(b), outbox.Options{})
	check(err)
	check(db.Use(ob))
	rdb, err := redisx.Connect(ctx, "CACHE_URL", redis.URL(2))
	check(err)
	defer func() { check(rdb.Close()) }()
	store, err := cache.NewStore(rdb, cache.StoreOptions{Announcer: refresh.Announcer{}})
	check(err)
	defer store.Close()

	counters := counter.New(counter.Options{DB: db, Store: store, Profiles: profiles.New(db, store)})
	check(db.Create([]shop.User{{ID: 1, Name: "Ann", Mobile: "1"}, {ID: 2, Name: "Bea", Mobile: "2"}}).Error)
	done, err := counters.Reconcile(ctx) // as refresh.counters does: from now on Redis has all counts
	check(err)
	fmt.Println(done.Users, "users are counted")

	publish := func(author int64) {
		check(store.Write(ctx, db, func(tx *gorm.DB) ([]cache.Change, error) {
			err := tx.Create(&shop.Article{UserID: author, Title: "news"}).Error
			return []cache.Change{counter.Change(counter.Articles, author, +1)}, err
		}))
	}
	publish(1)
	publish(2)
	publish(2)
	counts, err := counters.Of(ctx, 2)
	fmt.Printf("%+v %v\n", counts, err)
	top, _, err := counters.EncodedTop(ctx, counter.Articles, 10)
	check(err)
	fmt.Println(string(top))
	// Output:
	// 2 users are counted
	// {Articles:2 Followings:0 Followers:0} <nil>
	// [{"rank":1,"count":2,"user":{"id":2,"name":"Bea","photo":""}},{"rank":2,"count":1,"user":{"id":1,"name":"Ann","photo":""}}]
}
