package seckill

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
)

const (
	// reservationGrace is how long a reservation may take to become a task before reconcile looks at it.
	reservationGrace = 15 * time.Second
	// loadLease is how long a loader may be silent before another takes over.
	loadLease = 2 * time.Second
	// saleKeep is how long a sale stays in Redis after its end, and saleLeast the least it stays.
	saleKeep  = time.Hour
	saleLeast = time.Minute
)

// keys of one goods, in the order in which every script takes them.
func keys(goodsID int64) []string {
	prefix := "paidui:{seckill:" + strconv.FormatInt(goodsID, 10) + "}:"
	return []string{prefix + "sale", prefix + "admitted", prefix + "pending", prefix + "load"}
}

func saleKey(goodsID int64) string     { return keys(goodsID)[0] }
func admittedKey(goodsID int64) string { return keys(goodsID)[1] }
func pendingKey(goodsID int64) string  { return keys(goodsID)[2] }
func loadKey(goodsID int64) string     { return keys(goodsID)[3] }

// ledger is what Redis holds of the sales.
type ledger struct {
	rdb   redis.UniversalClient
	grace time.Duration
}

func newLedger(rdb redis.UniversalClient) ledger {
	return ledger{rdb: rdb, grace: reservationGrace}
}

// settle records that the users have committed orders, made by the tasks.
func (l ledger) settle(ctx context.Context, goodsID int64, orders ...reservation) error {
	if len(orders) == 0 {
		return nil
	}
	if err := settleScript.Run(ctx, l.rdb, keys(goodsID), appendReservations(nil, orders)...).Err(); err != nil {
		return fmt.Errorf("settle task %s and %d more: %w", orders[0].taskID, len(orders)-1, err)
	}
	return nil
}

// giveBack ends the reservations that the tasks have for the users, and returns how many had any. soldOut says that
// the database refused them for want of stock.
func (l ledger) giveBack(ctx context.Context, goodsID int64, soldOut bool, rs ...reservation) (int, error) {
	if len(rs) == 0 {
		return 0, nil
	}
	flag := 0
	if soldOut {
		flag = 1
	}
	given, err := giveBackScript.Run(ctx, l.rdb, keys(goodsID), appendReservations([]any{flag}, rs)...).Int()
	if err != nil {
		return 0, fmt.Errorf("give back the reservation of task %s and %d more: %w", rs[0].taskID, len(rs)-1, err)
	}
	return given, nil
}

// appendReservations appends user and task of each.
func appendReservations(args []any, rs []reservation) []any {
	args = slices.Grow(args, 2*len(rs))
	for _, r := range rs {
		args = append(args, r.userID, r.taskID)
	}
	return args
}

// drop makes Redis forget the sale, but not who is in it, and voids every loading under way.
func (l ledger) drop(ctx context.Context, goodsID int64) error {
	if err := l.rdb.Del(ctx, saleKey(goodsID), loadKey(goodsID)).Err(); err != nil {
		return fmt.Errorf("drop the sale of goods %d: %w", goodsID, err)
	}
	return nil
}

// loadState says who loads a sale.
type loadState string

const (
	loadMine  loadState = "mine"   // whoever asked
	loadOther loadState = "busy"   // another process
	loadDone  loadState = "loaded" // nobody, as the sale is there
)

// acquire makes the token's owner the only loader of the sale, for loadLease. anew says that a sale that is there
// shall be loaded all the same.
func (l ledger) acquire(ctx context.Context, goodsID int64, token string, anew bool) (loadState, error) {
	flag := 1
	if anew {
		flag = 0
	}
	whose, err := acquireScript.Run(ctx, l.rdb, keys(goodsID), token, loadLease.Milliseconds(), flag).Text()
	if err != nil {
		return "", fmt.Errorf("begin loading goods %d: %w", goodsID, err)
	}
	return loadState(whose), nil
}

// extend renews the loader's lease; false says that it has been voided or lost.
func (l ledger) extend(ctx context.Context, goodsID int64, token string) (bool, error) {
	ok, err := redisx.ExtendLease.Run(ctx, l.rdb, []string{loadKey(goodsID)}, token, loadLease.Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("go on loading goods %d: %w", goodsID, err)
	}
	return ok, nil
}

// release ends a loading that filled nothing.
func (l ledger) release(ctx context.Context, goodsID int64, token string) error {
	if err := redisx.ReleaseLease.Run(ctx, l.rdb, []string{loadKey(goodsID)}, token).Err(); err != nil {
		return fmt.Errorf("stop loading goods %d: %w", goodsID, err)
	}
	return nil
}

// fill publishes the sale and ends the loading; false says that the loading has been voided or lost, and nothing was
// published.
func (l ledger) fill(ctx context.Context, goodsID int64, token string, s sale) (bool, error) {
	ok, err := fillScript.Run(ctx, l.rdb, keys(goodsID), token, s.total(), s.StartsAt.UnixMilli(), s.EndsAt.UnixMilli(),
		saleKeep.Milliseconds(), saleLeast.Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("fill the sale of goods %d: %w", goodsID, err)
	}
	return ok, nil
}

// merge adds buyers without touching whoever is in already.
func (l ledger) merge(ctx context.Context, goodsID int64, buyers []buyer) error {
	_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, b := range buyers {
			p.HSetNX(ctx, admittedKey(goodsID), strconv.FormatInt(b.UserID, 10), b.TaskID)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("merge orders of goods %d: %w", goodsID, err)
	}
	return nil
}

type counts struct {
	admitted, pending int64
	loaded            bool
}

func (l ledger) count(ctx context.Context, goodsID int64) (counts, error) {
	n, err := countScript.Run(ctx, l.rdb, keys(goodsID)).Int64Slice()
	if err == nil && len(n) != 3 {
		err = fmt.Errorf("unexpected reply %v", n)
	}
	if err != nil {
		return counts{}, fmt.Errorf("count the users of goods %d: %w", goodsID, err)
	}
	return counts{admitted: n[0], pending: n[1], loaded: n[2] == 1}, nil
}

// reservation is one user's, not yet known to be an order.
type reservation struct {
	userID int64
	taskID string
}

// duePage returns the reservations of one page of the scan that are due at now, and the cursor of the next page, 0
// after the last.
func (l ledger) duePage(ctx context.Context, goodsID int64, cursor uint64, now time.Time) ([]reservation, uint64, error) {
	fields, next, err := l.rdb.HScan(ctx, pendingKey(goodsID), cursor, "", pageSize).Result()
	if err != nil {
		return nil, 0, fmt.Errorf("list the reservations of goods %d: %w", goodsID, err)
	}
	var due []reservation
	for i := 0; i+1 < len(fields); i += 2 {
		userID, at, err := splitPending(fields[i+1])
		if err != nil {
			return nil, 0, fmt.Errorf("reservation of task %s: %w", fields[i], err)
		}
		if !now.Before(at) {
			due = append(due, reservation{userID: userID, taskID: fields[i]})
		}
	}
	return due, next, nil
}

// splitPending reads a value of the hash of reservations.
func splitPending(value string) (userID int64, due time.Time, err error) {
	user, at, _ := strings.Cut(value, ":")
	userID, err1 := strconv.ParseInt(user, 10, 64)
	ms, err2 := strconv.ParseInt(at, 10, 64)
	if err1 != nil || err2 != nil {
		return 0, time.Time{}, fmt.Errorf("unexpected value %q", value)
	}
	return userID, time.UnixMilli(ms), nil
}

// admittedPage is one page of a scan of everyone who is in.
func (l ledger) admittedPage(ctx context.Context, goodsID int64, cursor uint64) ([]reservation, uint64, error) {
	fields, next, err := l.rdb.HScan(ctx, admittedKey(goodsID), cursor, "", pageSize).Result()
	if err != nil {
		return nil, 0, fmt.Errorf("list the users of goods %d: %w", goodsID, err)
	}
	var in []reservation
	for i := 0; i+1 < len(fields); i += 2 {
		userID, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return nil, 0, fmt.Errorf("users of goods %d: unexpected field %q", goodsID, fields[i])
		}
		in = append(in, reservation{userID: userID, taskID: fields[i+1]})
	}
	return in, next, nil
}

// unreserved leaves out whoever has a reservation.
func (l ledger) unreserved(ctx context.Context, goodsID int64, rs []reservation) ([]reservation, error) {
	if len(rs) == 0 {
		return nil, nil
	}
	ids := make([]string, len(rs))
	for i, r := range rs {
		ids[i] = r.taskID
	}
	pending, err := l.rdb.HMGet(ctx, pendingKey(goodsID), ids...).Result()
	if err != nil {
		return nil, fmt.Errorf("look up reservations of goods %d: %w", goodsID, err)
	}
	var free []reservation
	for i, r := range rs {
		if pending[i] == nil {
			free = append(free, r)
		}
	}
	return free, nil
}

// postpone makes the reservations due again at the time.
func (l ledger) postpone(ctx context.Context, goodsID int64, rs []reservation, until time.Time) error {
	if len(rs) == 0 {
		return nil
	}
	args := make([]any, 0, 1+2*len(rs))
	args = append(args, until.UnixMilli())
	for _, r := range rs {
		args = append(args, r.taskID, r.userID)
	}
	if err := postponeScript.Run(ctx, l.rdb, keys(goodsID), args...).Err(); err != nil {
		return fmt.Errorf("postpone reservations of goods %d: %w", goodsID, err)
	}
	return nil
}

// prune removes someone who has no order, unless he has a reservation.
func (l ledger) prune(ctx context.Context, goodsID int64, r reservation) (bool, error) {
	ok, err := pruneScript.Run(ctx, l.rdb, keys(goodsID), r.userID, r.taskID).Bool()
	if err != nil {
		return false, fmt.Errorf("prune user %d from goods %d: %w", r.userID, goodsID, err)
	}
	return ok, nil
}
