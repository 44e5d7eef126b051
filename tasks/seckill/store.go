package seckill

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/models/shop"
)

// pageSize bounds what one round trip carries of a sale's users.
const pageSize = 500

// store is what the database holds of the sales.
type store struct{ db *gorm.DB }

type sale struct {
	found    bool
	Stock    int64
	Sold     int64
	StartsAt time.Time
	EndsAt   time.Time
}

// total is what the sale has in all. Orders do not change it: each takes one from Stock and adds one to Sold.
func (s sale) total() int64 { return max(s.Stock, 0) + s.Sold }

// sale reads stock and orders in one statement, so that both are of the same moment.
func (s store) sale(ctx context.Context, goodsID int64) (sale, error) {
	var rows []sale
	err := s.db.WithContext(ctx).Model(&shop.Goods{}).
		Select("stock, starts_at, ends_at, (SELECT COUNT(*) FROM orders WHERE orders.goods_id = goods.id) AS sold").
		Where("id = ?", goodsID).Scan(&rows).Error
	if err != nil {
		return sale{}, fmt.Errorf("read the sale of goods %d: %w", goodsID, err)
	}
	if len(rows) == 0 {
		return sale{}, nil
	}
	rows[0].found = true
	return rows[0], nil
}

type buyer struct {
	ID     int64
	UserID int64
	TaskID string
}

// buyers lists orders of the goods by id, after the one given.
func (s store) buyers(ctx context.Context, goodsID, after int64) ([]buyer, error) {
	var page []buyer
	err := s.db.WithContext(ctx).Model(&shop.Order{}).Select("id, user_id, task_id").
		Where("goods_id = ? AND id > ?", goodsID, after).Order("id").Limit(pageSize).Scan(&page).Error
	if err != nil {
		return nil, fmt.Errorf("list orders of goods %d: %w", goodsID, err)
	}
	return page, nil
}

// buyersAmong maps those of the users who have an order of the goods to its task.
func (s store) buyersAmong(ctx context.Context, goodsID int64, rs []reservation) (map[int64]string, error) {
	bought := make(map[int64]string, len(rs))
	if len(rs) == 0 {
		return bought, nil
	}
	users := make([]int64, len(rs))
	for i, r := range rs {
		users[i] = r.userID
	}
	var found []buyer
	err := s.db.WithContext(ctx).Model(&shop.Order{}).Select("user_id, task_id").
		Where("goods_id = ? AND user_id IN ?", goodsID, users).Scan(&found).Error
	if err != nil {
		return nil, fmt.Errorf("look for orders of goods %d: %w", goodsID, err)
	}
	for _, b := range found {
		bought[b.UserID] = b.TaskID
	}
	return bought, nil
}

// buyersAmongLocking is buyersAmong that waits for transactions under way: whoever has no order then gets none by an attempt
// that had begun. A commit whose answer was lost may be in the server's hands yet, as when it was frozen.
func (s store) buyersAmongLocking(ctx context.Context, goodsID int64, rs []reservation) (map[int64]string, error) {
	bought := make(map[int64]string)
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for _, r := range rs {
			var taskIDs []string
			err := forUpdate(tx).Model(&shop.Order{}).
				Where("user_id = ? AND goods_id = ?", r.userID, goodsID).Pluck("task_id", &taskIDs).Error
			if err != nil {
				return err
			}
			if len(taskIDs) > 0 {
				bought[r.userID] = taskIDs[0]
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for orders of goods %d and wait for those under way: %w", goodsID, err)
	}
	return bought, nil
}

// forUpdate has the next query wait for the transactions that have written what it looks for. On SQLite the transaction
// has waited for them already.
func forUpdate(tx *gorm.DB) *gorm.DB {
	if tx.Name() == "sqlite" {
		return tx
	}
	return tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate})
}

// orderBy is the order that the task made, nil without one.
func (s store) orderBy(ctx context.Context, taskID string) (*shop.Order, error) {
	return orderBy(s.db.WithContext(ctx), taskID)
}

// orderByLocking is orderBy that waits for a transaction under way: without an order, none comes of an attempt that had
// begun.
func (s store) orderByLocking(ctx context.Context, taskID string) (order *shop.Order, err error) {
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		order, err = orderBy(forUpdate(tx), taskID)
		return err
	})
	return order, err
}

func orderBy(db *gorm.DB, taskID string) (*shop.Order, error) {
	var found []shop.Order
	if err := db.Where("task_id = ?", taskID).Limit(1).Find(&found).Error; err != nil {
		return nil, fmt.Errorf("look for the order: %w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return &found[0], nil
}

func (s store) goodsByName(ctx context.Context, name string) (int64, error) {
	if name == "" || !utf8.ValidString(name) {
		return 0, ErrUnknownGoods
	}
	var ids []int64
	if err := s.db.WithContext(ctx).Model(&shop.Goods{}).Where("name = ?", name).Limit(1).Pluck("id", &ids).Error; err != nil {
		return 0, fmt.Errorf("look for goods by name: %w", err)
	}
	if len(ids) == 0 {
		return 0, ErrUnknownGoods
	}
	return ids[0], nil
}
