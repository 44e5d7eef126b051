package seckill

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

// ErrSameName says that there are goods of the name already.
var ErrSameName = errors.New("there are goods of this name already")

// ListGoods returns the goods whose sale begins last first, at most limit of them.
func (s *Sales) ListGoods(ctx context.Context, limit int) ([]shop.Goods, error) {
	var rows []shop.Goods
	if err := s.store.db.WithContext(ctx).Order("starts_at DESC, id DESC").Limit(limit).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("list goods: %w", err)
	}
	return rows, nil
}

// Goods returns goods by their id, or ErrUnknownGoods.
func (s *Sales) Goods(ctx context.Context, id int64) (shop.Goods, error) {
	return takeGoods(s.store.db.WithContext(ctx), id)
}

// CreateGoods writes a row and sets its id. It returns ErrSameName when the name is taken. Call Invalidate afterwards.
func (s *Sales) CreateGoods(ctx context.Context, row *shop.Goods) error {
	if err := s.store.db.WithContext(ctx).Create(row).Error; err != nil {
		return fmt.Errorf("create goods: %w", sameName(err))
	}
	return nil
}

// ChangeGoods has change work on the row in a transaction that has locked it, and returns what was written. An error of
// change is returned, and nothing is written. Others are ErrUnknownGoods, and ErrSameName when the name is taken. It writes
// nothing while Redis is away, which could not be told of it. Call Invalidate afterwards.
func (s *Sales) ChangeGoods(ctx context.Context, id int64, change func(*shop.Goods) error) (shop.Goods, error) {
	if err := s.ledger.rdb.Ping(ctx).Err(); err != nil {
		return shop.Goods{}, fmt.Errorf("change goods %d: ask Redis first: %w", id, err)
	}
	var row shop.Goods
	err := s.store.db.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
		if row, err = takeGoods(forUpdate(tx), id); err != nil {
			return err
		}
		if err := change(&row); err != nil {
			return err
		}
		return tx.Save(&row).Error
	})
	if err != nil {
		return shop.Goods{}, fmt.Errorf("change goods %d: %w", id, sameName(err))
	}
	return row, nil
}

// Orders returns the user's orders, the last made first, at most limit of them.
func (s *Sales) Orders(ctx context.Context, userID int64, limit int) ([]shop.Order, error) {
	var rows []shop.Order
	err := s.store.db.WithContext(ctx).Where("user_id = ?", userID).
		Order("created_at DESC, id DESC").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("list orders of user %d: %w", userID, err)
	}
	return rows, nil
}

func takeGoods(db *gorm.DB, id int64) (shop.Goods, error) {
	var row shop.Goods
	err := db.Take(&row, id).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = ErrUnknownGoods
	}
	return row, err
}

func sameName(err error) error {
	if models.IsDuplicate(err) {
		return fmt.Errorf("%w: %w", ErrSameName, err)
	}
	return err
}
