package following

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
)

// Follow has the user follow the target, and tells since when he does. Following twice changes nothing. It returns
// ErrSelf, ErrNoTarget, or ErrNoUser.
func (f *Followings) Follow(ctx context.Context, user, target int64) (since time.Time, err error) {
	if user == target {
		return since, ErrSelf
	}
	exists, err := f.opt.Exists(ctx, target)
	if err != nil {
		return since, err
	}
	if !exists {
		return since, ErrNoTarget
	}
	err = f.write(ctx, func(tx *gorm.DB) ([]cache.Change, error) {
		if err := mustExist(tx, user, target); err != nil {
			return nil, err
		}
		row := shop.Following{UserID: user, TargetID: target, CreatedAt: f.now().UTC().Truncate(time.Microsecond)}
		made := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row)
		if made.Error != nil {
			return nil, made.Error
		}
		since = row.CreatedAt
		if made.RowsAffected == 0 {
			// The row that was in the way may be younger than what the transaction sees, unless it is locked.
			err := tx.Raw("SELECT created_at FROM followings WHERE user_id = ? AND target_id = ?"+shared(tx), user, target).
				Row().Scan(&since)
			since = since.UTC()
			return nil, err
		}
		return f.changes(user, target, 1), nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("user %d follows %d: %w", user, target, err)
	}
	return since, nil
}

// Unfollow ends what Follow began. Where there is nothing to end it changes nothing. It returns ErrSelf, or ErrNoTarget
// when there is no such user.
func (f *Followings) Unfollow(ctx context.Context, user, target int64) error {
	if user == target {
		return ErrSelf
	}
	ended := false
	err := f.write(ctx, func(tx *gorm.DB) ([]cache.Change, error) {
		gone := tx.Where("user_id = ? AND target_id = ?", user, target).Delete(&shop.Following{})
		ended = gone.RowsAffected > 0
		if gone.Error != nil || !ended {
			return nil, gone.Error
		}
		return f.changes(user, target, -1), nil
	})
	if err == nil && !ended {
		var exists bool
		if exists, err = f.opt.Exists(ctx, target); err == nil && !exists {
			return ErrNoTarget
		}
	}
	if err != nil {
		return fmt.Errorf("user %d follows %d no longer: %w", user, target, err)
	}
	return nil
}

func (f *Followings) changes(user, target int64, by int) []cache.Change {
	return append([]cache.Change{{Cache: f.Name(), ID: changeID(user, target)}}, f.opt.Counted(user, target, by)...)
}

// writeTries is how often a transaction is begun that the database rolls back in favor of another.
const writeTries = 5

func (f *Followings) write(ctx context.Context, work func(tx *gorm.DB) ([]cache.Change, error)) (err error) {
	for range writeTries {
		if err = f.store.Write(ctx, f.db, work); !models.IsConflict(err) {
			break
		}
	}
	return err
}

// mustExist holds both users until the transaction ends. Locks that are shared let those who follow the same user, or
// each other, pass side by side; and they are taken in the order of the ids, so that whoever locks users for himself in
// that order is never waited for by one whom he waits for.
func mustExist(tx *gorm.DB, user, target int64) error {
	var found []int64
	err := tx.Raw("SELECT id FROM users WHERE id IN (?, ?) ORDER BY id"+shared(tx), user, target).Scan(&found).Error
	if err != nil {
		return err
	}
	there := make(map[int64]bool, len(found))
	for _, id := range found {
		there[id] = true
	}
	switch {
	case !there[user]:
		return ErrNoUser
	case !there[target]:
		return ErrNoTarget
	}
	return nil
}

// shared ends a SELECT that locks what it reads against writers, and reads what was committed last. SQLite has one writer
// at a time.
func shared(tx *gorm.DB) string {
	if tx.Name() == "sqlite" {
		return ""
	}
	return " LOCK IN SHARE MODE"
}
