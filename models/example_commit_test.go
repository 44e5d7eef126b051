package models_test

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

func ExampleAfterCommit() {
	db, err := models.Open(context.Background(), "sqlite://:memory:", models.Options{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = models.Close(db) }()
	if err := shop.Migrate(context.Background(), db); err != nil {
		panic(err)
	}
	err = db.Transaction(func(tx *gorm.DB) error {
		models.AfterCommit(tx, func() { fmt.Println("committed") })
		fmt.Println("writing")
		return tx.Create(&shop.Banner{Title: "new"}).Error
	})
	fmt.Println("error:", err)
	// Output:
	// writing
	// committed
	// error: <nil>
}
