package seckill

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// liveKey is a sorted set of the goods that Redis holds anything of. The score is the time of the last loading, in
// microseconds, and tells reconcile whether it was loaded again meanwhile.
const liveKey = "paidui:seckill:live"

// reserved reports whether the task has a reservation, of any goods.
func (l ledger) reserved(ctx context.Context, taskID string) (bool, error) {
	goods, err := l.live(ctx)
	if err != nil || len(goods) == 0 {
		return false, err
	}
	found := make([]*redis.BoolCmd, len(goods))
	_, err = l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, g := range goods {
			found[i] = p.HExists(ctx, pendingKey(g.id), taskID)
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("look for the reservation of task %s: %w", taskID, err)
	}
	for _, f := range found {
		if f.Val() {
			return true, nil
		}
	}
	return false, nil
}

type liveGoods struct {
	id    int64
	score float64
}

func (l ledger) live(ctx context.Context) ([]liveGoods, error) {
	members, err := l.rdb.ZRangeWithScores(ctx, liveKey, 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("list live sales: %w", err)
	}
	goods := make([]liveGoods, 0, len(members))
	for _, m := range members {
		text, _ := m.Member.(string)
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("live sales: unexpected member %q", text)
		}
		goods = append(goods, liveGoods{id: id, score: m.Score})
	}
	return goods, nil
}

func (l ledger) markLive(ctx context.Context, goodsID int64) error {
	z := redis.Z{Score: float64(time.Now().UnixMicro()), Member: goodsID}
	if err := l.rdb.ZAdd(ctx, liveKey, z).Err(); err != nil {
		return fmt.Errorf("mark goods %d as live: %w", goodsID, err)
	}
	return nil
}

// forget removes all that Redis holds of the goods; false says that it did not, as there are reservations or the
// loading is not the caller's.
func (l ledger) forget(ctx context.Context, g liveGoods, token string) (bool, error) {
	ok, err := forgetScript.Run(ctx, l.rdb, keys(g.id), token).Bool()
	if err != nil {
		return false, fmt.Errorf("forget goods %d: %w", g.id, err)
	}
	if !ok {
		return false, nil
	}
	if err := retireScript.Run(ctx, l.rdb, []string{liveKey}, g.id, strconv.FormatFloat(g.score, 'f', -1, 64)).Err(); err != nil {
		return false, fmt.Errorf("retire goods %d: %w", g.id, err)
	}
	return true, nil
}
