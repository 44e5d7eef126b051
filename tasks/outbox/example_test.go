package outbox_test

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/outbox"
)

type welcomeArgs struct {
	UserID int64 `json:"user_id"`
}

var welcome = tasks.Define[welcomeArgs, bool]("example.welcome")

// openExample opens a database in memory and an embedded Redis, and gives the database an outbox.
func openExample(ctx context.Context) (db *gorm.DB, client *tasks.Client, ob *outbox.Outbox, end func()) {
	db, err := models.Open(ctx, "sqlite://:memory:", models.Options{})
	check(err)
	check(shop.Migrate(ctx, db))
	redis, err := embedded.Start(ctx)
	check(err)
	b, err := broker.Open(ctx, redis.URL(0), broker.Options{})
	check(err)
	client = tasks.NewClient(b)
	ob, err = outbox.New(db, client, outbox.Options{})
	check(err)
	check(db.Use(ob))
	return db, client, ob, func() {
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

// A user and the task that welcomes them are there both, or neither.
func ExampleOutbox() {
	ctx, cancel := context.WithCancel(context.Background())
	db, client, ob, end := openExample(ctx)
	defer end()
	relay := make(chan error)
	go func() { relay <- ob.Run(ctx) }()

	var greeting *tasks.Result[bool]
	err := db.Transaction(func(tx *gorm.DB) error {
		user := shop.User{Mobile: "13800138000", Name: "林小雨"}
		if err := tx.Create(&user).Error; err != nil {
			return err
		}
		var err error
		greeting, err = welcome.EnqueueTx(ctx, outbox.Tx(tx), welcomeArgs{UserID: user.ID})
		return err
	})
	check(err)
	state, err := greeting.State(ctx)
	fmt.Println("committed:", state, err)

	err = db.Transaction(func(tx *gorm.DB) error {
		if greeting, err = welcome.EnqueueTx(ctx, outbox.Tx(tx), welcomeArgs{UserID: 2}); err != nil {
			return err
		}
		return fmt.Errorf("changed my mind")
	})
	fmt.Println(err)
	_, err = client.Info(ctx, greeting.ID())
	fmt.Println("rolled back:", err != nil)

	cancel()
	check(<-relay)
	// Output:
	// committed: PENDING <nil>
	// changed my mind
	// rolled back: true
}

// A durable task is kept in the database until it has ended, so it can be enqueued while Redis is away, and survives the
// loss of all that Redis holds.
func ExampleOutbox_durable() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	db, client, _, end := openExample(ctx)
	defer end()
	_, err := welcome.Enqueue(ctx, client, welcomeArgs{UserID: 1}, tasks.Durable())
	var rows int64
	db.Model(&models.OutboxRow{}).Count(&rows)
	fmt.Println(rows, err)
	// Output: 1 <nil>
}

// A task that has not been sent yet can be taken back.
func ExampleOutbox_Remove() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	db, _, ob, end := openExample(ctx)
	defer end()
	greeting, err := welcome.EnqueueTx(ctx, outbox.Tx(db), welcomeArgs{UserID: 1})
	check(err)
	removed, err := ob.Remove(ctx, greeting.ID())
	fmt.Println(removed, err)
	removed, err = ob.Remove(ctx, greeting.ID())
	fmt.Println(removed, err)
	// Output:
	// true <nil>
	// false <nil>
}
