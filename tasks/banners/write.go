package banners

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
)

// ErrUnknown says that there is no such banner, or that it is deleted.
var ErrUnknown = errors.New("unknown banner")

// Write commits what f writes to the banners, and has the cached list follow as the strategy says, whatever becomes of
// this process or of the cache's Redis meanwhile. With cache.Periodic alone the list follows with the next
// refresh.banners.
func (b *List) Write(ctx context.Context, f func(tx *gorm.DB) error) error {
	return b.store.Write(ctx, b.db, func(tx *gorm.DB) ([]cache.Change, error) {
		if err := f(tx); err != nil {
			return nil, err
		}
		return b.Changes(), nil
	})
}

// Create writes a row and sets its id. The list follows as with Write.
func (b *List) Create(ctx context.Context, row *shop.Banner) error {
	return b.Write(ctx, func(tx *gorm.DB) error {
		row.ID = 0 // an earlier try may have set it
		if err := tx.Create(row).Error; err != nil {
			return fmt.Errorf("create a banner: %w", err)
		}
		return nil
	})
}

// Change has change work on the row in a transaction that has locked it, and returns what was written, or ErrUnknown. The
// list follows as with Write. change may be called again, on what the row then is.
func (b *List) Change(ctx context.Context, id int64, change func(*shop.Banner)) (shop.Banner, error) {
	var row shop.Banner
	err := b.Write(ctx, func(tx *gorm.DB) error {
		row = shop.Banner{} // GORM would look for what an earlier try has left
		err := tx.Clauses(forUpdate).Where("is_delete = ?", false).Take(&row, id).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			err = ErrUnknown
		}
		if err == nil {
			change(&row)
			err = tx.Save(&row).Error
		}
		if err != nil {
			return fmt.Errorf("change banner %d: %w", id, err)
		}
		return nil
	})
	return row, err
}

// forUpdate locks the rows read until the transaction ends. SQLite, which has one writer at a time, ignores it.
var forUpdate = clause.Locking{Strength: clause.LockingStrengthUpdate}
