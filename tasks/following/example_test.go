package following_test

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/following"
)

// Lists of whom users follow, over a database and a Redis. A program gives its store a refresh.Announcer, so that a change
// that has committed reaches the list even if the program dies in that moment.
func Example() {
	ctx := context.Background()
	db, err := models.Open(ctx, "sqlite://:memory:", models.Options{})
	check(err)
	defer func() { check(models.Close(db)) }()
	check(shop.Migrate(ctx, db))
	for i := range 3 {
		check(db.Create(&shop.User{Mobile: strconv.Itoa(13800000000 + i)}).Error)
	}
	server, err := embedded.Start(ctx)
	check(err)
	defer server.Close()
	address, err := redis.ParseURL(server.URL(0))
	check(err)
	rdb := redis.NewClient(address)
	defer func() { check(rdb.Close()) }()
	store, err := cache.NewStore(rdb, cache.StoreOptions{})
	check(err)
	defer store.Close()

	lists := following.New(store, db, following.Options{
		Exists: func(_ context.Context, user int64) (bool, error) { return user <= 3, nil }, // as profiles.Profiles does
	})
	for _, target := range []int64{2, 3} {
		_, err := lists.Follow(ctx, 1, target)
		check(err)
	}
	total, entries, err := lists.List(ctx, 1, 1, 20)
	check(err)
	fmt.Println("user 1 follows", total, "users; the newest is", entries[0].Target)

	check(lists.Unfollow(ctx, 1, 3))
	fmt.Println("in Redis:", rdb.ZRangeArgs(ctx, redis.ZRangeArgs{Key: "user:1:following", Start: 0, Stop: -1, Rev: true}).Val())

	_, err = lists.Follow(ctx, 1, 99)
	fmt.Println(err)
	// Output:
	// user 1 follows 2 users; the newest is 3
	// in Redis: [2]
	// there is no such user to follow
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
