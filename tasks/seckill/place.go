package seckill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

// orderRequest is an order to be placed, and then what became of it: the user's order of the goods, which may be older and
// another task's; or ErrSoldOut, ErrUnknownGoods, or a fault. After a fault the order may have been committed all the
// same, and placing it again finds out.
type orderRequest struct {
	userID, goodsID int64
	taskID          string

	order     *shop.Order
	err       error
	settleErr error // why Redis does not know of it yet
	position  int   // in the batch: the first come get the last pieces
}

// refused reports whether the business said no.
func (r *orderRequest) refused() bool {
	return errors.Is(r.err, ErrSoldOut) || errors.Is(r.err, ErrUnknownGoods)
}

// place is placeAll of one.
func (s store) place(ctx context.Context, userID, goodsID int64, taskID string) (*shop.Order, error) {
	r := &orderRequest{userID: userID, goodsID: goodsID, taskID: taskID}
	s.placeAll(ctx, []*orderRequest{r})
	return r.order, r.err
}

// placeAll makes the orders and takes their pieces in as few transactions as can be, mostly one, and tells each what
// became of it. One that cannot be placed leaves the others alone.
func (s store) placeAll(ctx context.Context, batch []*orderRequest) {
	rows := slices.Clone(batch)
	for i, r := range rows {
		r.position = i
	}
	// Everybody inserts in the order of the index that finds duplicates, so that no two wait for each other.
	slices.SortStableFunc(rows, inOrder)
	same := func(a, b *orderRequest) bool { return inOrder(a, b) == 0 }
	s.placeDistinct(ctx, slices.CompactFunc(slices.Clone(rows), same))

	for i, r := range rows[1:] {
		if first := rows[i]; same(first, r) {
			r.order, r.err = first.order, first.err
		}
	}
}

func inOrder(a, b *orderRequest) int {
	return cmp.Or(cmp.Compare(a.userID, b.userID), cmp.Compare(a.goodsID, b.goodsID))
}

const (
	// placeTries bounds the transactions for the same rows. Two transactions that insert beside what a third has just
	// removed can deadlock in InnoDB whatever their order is, as each locks the gap.
	placeTries = 10
	// conflictPause is how long to wait after the first conflict, on average, so that rivals fall out of step. It
	// grows with each.
	conflictPause = 2 * time.Millisecond
)

// placeDistinct is for rows none of which is of the same user and goods as another.
func (s store) placeDistinct(ctx context.Context, rows []*orderRequest) {
	for try := 1; len(rows) > 0; try++ {
		err := s.transact(ctx, rows)
		switch {
		case err == nil:
			return
		case try == placeTries:
		case models.IsConflict(err):
			if wait(ctx, rand.N(2*time.Duration(try)*conflictPause)) == nil {
				rows, err = s.undecided(ctx, rows)
			}
		case models.IsDuplicate(err):
			before := len(rows)
			rows, err = s.undecided(ctx, rows)
			if err == nil && len(rows) == before && before > 1 {
				s.placeHalves(ctx, rows)
				return
			}
		case models.IsRowFault(err) && len(rows) > 1:
			s.placeHalves(ctx, rows)
			return
		}
		if err != nil {
			failAll(rows, err)
			return
		}
	}
}

// placeHalves places each half by itself, to isolate the row that fails the others.
func (s store) placeHalves(ctx context.Context, rows []*orderRequest) {
	half := len(rows) / 2
	s.placeDistinct(ctx, rows[:half])
	s.placeDistinct(ctx, rows[half:])
}

func failAll(rows []*orderRequest, err error) {
	for _, r := range rows {
		r.order, r.err = nil, fmt.Errorf("place the order of task %s: %w", r.taskID, err)
	}
}

// undecided tells those who have an order already, or whose goods are gone, and returns the others.
func (s store) undecided(ctx context.Context, rows []*orderRequest) ([]*orderRequest, error) {
	var rest []*orderRequest
	for _, group := range byGoods(rows) {
		left, err := s.undecidedOf(ctx, group)
		if err != nil {
			return rows, err
		}
		rest = append(rest, left...)
	}
	slices.SortFunc(rest, inOrder)
	return rest, nil
}

func (s store) undecidedOf(ctx context.Context, group []*orderRequest) ([]*orderRequest, error) {
	goodsID := group[0].goodsID
	var goods []shop.Goods
	if err := s.db.WithContext(ctx).Select("stock").Where("id = ?", goodsID).Find(&goods).Error; err != nil {
		return nil, fmt.Errorf("read the stock of goods %d: %w", goodsID, err)
	}
	// The orders are read after the stock: whoever got one of the last pieces is found.
	users := make([]int64, len(group))
	for i, r := range group {
		users[i] = r.userID
	}
	var orders []shop.Order
	err := s.db.WithContext(ctx).Where("goods_id = ? AND user_id IN ?", goodsID, users).Find(&orders).Error
	if err != nil {
		return nil, fmt.Errorf("look for orders of goods %d: %w", goodsID, err)
	}
	orderOf := make(map[int64]*shop.Order, len(orders))
	for i := range orders {
		orderOf[orders[i].UserID] = &orders[i]
	}
	var rest []*orderRequest
	for _, r := range group {
		order := orderOf[r.userID]
		switch {
		case order != nil:
			r.order, r.err = order, nil
		case len(goods) == 0:
			r.order, r.err = nil, ErrUnknownGoods
		case goods[0].Stock <= 0:
			r.order, r.err = nil, ErrSoldOut
		default:
			rest = append(rest, r)
		}
	}
	return rest, nil
}

// byGoods divides the rows by their goods, in the order of the goods' ids.
func byGoods(rows []*orderRequest) [][]*orderRequest {
	sorted := slices.Clone(rows)
	slices.SortStableFunc(sorted, func(a, b *orderRequest) int { return cmp.Compare(a.goodsID, b.goodsID) })
	var groups [][]*orderRequest
	for len(sorted) > 0 {
		n := 1
		for n < len(sorted) && sorted[n].goodsID == sorted[0].goodsID {
			n++
		}
		groups, sorted = append(groups, sorted[:n:n]), sorted[n:]
	}
	return groups
}

// transact places the rows in one transaction, or none. Where there are fewer pieces than orders, the first come get
// them and the others are refused.
//
// The goods rows, which all buyers want, come last and in the order of their ids: their locks are then held for little
// more than the commit, and whoever holds one waits for nothing but the next. No snapshot is read before the last lock
// is taken.
func (s store) transact(ctx context.Context, rows []*orderRequest) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	orders, err := newOrders(rows, now)
	if err != nil {
		return err
	}
	var refused map[*orderRequest]error
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := insert(tx, orders); err != nil {
			return err
		}
		for _, group := range byGoods(rows) {
			enough, err := takeStock(tx, group[0].goodsID, len(group), now)
			if err != nil {
				return err
			}
			if enough {
				continue
			}
			why, err := takeRemainingStock(tx, group, now)
			if err != nil {
				return err
			}
			if refused == nil {
				refused = make(map[*orderRequest]error)
			}
			maps.Copy(refused, why)
		}
		if len(refused) == len(rows) {
			return errAllRefused
		}
		return identify(tx, orders)
	})
	if err != nil && !errors.Is(err, errAllRefused) {
		return err
	}
	for i, r := range rows {
		if r.err = refused[r]; r.err == nil {
			r.order = &orders[i]
		}
	}
	return nil
}

// errAllRefused rolls back a transaction that has nothing to commit.
var errAllRefused = errors.New("every order is refused")

func newOrders(rows []*orderRequest, now time.Time) ([]shop.Order, error) {
	numbers, err := orderNumbers(now, len(rows))
	if err != nil {
		return nil, err
	}
	orders := make([]shop.Order, len(rows))
	for i, r := range rows {
		orders[i] = shop.Order{
			OrderNo: numbers[i], UserID: r.userID, GoodsID: r.goodsID, TaskID: r.taskID, CreatedAt: now,
		}
	}
	return orders, nil
}

func insert(tx *gorm.DB, orders []shop.Order) error {
	values := make([]any, 0, 5*len(orders))
	for i := range orders {
		o := &orders[i]
		values = append(values, o.OrderNo, o.UserID, o.GoodsID, o.TaskID, o.CreatedAt)
	}
	return tx.Exec("INSERT INTO orders (order_no,user_id,goods_id,task_id,created_at) VALUES "+
		strings.Repeat(",(?,?,?,?,?)", len(orders))[1:], values...).Error
}

// takeStock lowers the stock by n pieces if there are so many. Either way the goods are locked.
func takeStock(tx *gorm.DB, goodsID int64, n int, now time.Time) (bool, error) {
	taken := tx.Exec("UPDATE goods SET stock = stock - ?, updated_at = ? WHERE id = ? AND stock >= ?", n, now, goodsID, n)
	return taken.RowsAffected > 0, taken.Error
}

var ordersByTask = models.UniqueKey{Table: "orders", Index: "idx_orders_task_id", Column: "task_id"}

// takeRemainingStock takes what pieces there are, removes the orders that get none, and returns them with the reason. The
// goods are locked already.
func takeRemainingStock(tx *gorm.DB, group []*orderRequest, now time.Time) (map[*orderRequest]error, error) {
	count := "SELECT stock FROM goods WHERE id = ? FOR UPDATE"
	if tx.Name() == "sqlite" { // where a transaction has the whole database
		count = "SELECT stock FROM goods WHERE id = ?"
	}
	goodsID := group[0].goodsID
	var stock []int64
	if err := tx.Raw(count, goodsID).Scan(&stock).Error; err != nil {
		return nil, err
	}
	reason, left := ErrUnknownGoods, 0
	if len(stock) > 0 {
		reason, left = ErrSoldOut, int(min(max(stock[0], 0), int64(len(group))))
	}
	slices.SortFunc(group, func(a, b *orderRequest) int { return cmp.Compare(a.position, b.position) })
	refused := make(map[*orderRequest]error)
	var taskIDs []string
	for _, r := range group[left:] {
		refused[r] = reason
		taskIDs = append(taskIDs, r.taskID)
	}
	if err := models.DeleteKeys(tx, ordersByTask, taskIDs).Error; err != nil {
		return nil, err
	}
	if left == 0 {
		return refused, nil
	}
	enough, err := takeStock(tx, goodsID, left, now)
	if err == nil && !enough {
		err = fmt.Errorf("goods %d lost stock under a lock", goodsID)
	}
	return refused, err
}

// identify reads the ids that the database gave the orders. They need not be in one sequence.
func identify(tx *gorm.DB, orders []shop.Order) error {
	byTask := make(map[string]*shop.Order, len(orders))
	taskIDs := make([]string, len(orders))
	for i := range orders {
		byTask[orders[i].TaskID], taskIDs[i] = &orders[i], orders[i].TaskID
	}
	rows, err := tx.Raw("SELECT id, task_id FROM orders WHERE task_id IN ?", taskIDs).Rows()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var taskID string
		if err := rows.Scan(&id, &taskID); err != nil {
			return err
		}
		if o := byTask[taskID]; o != nil {
			o.ID = id
		}
	}
	return rows.Err()
}
