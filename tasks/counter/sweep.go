package counter

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// scan reads some members of a kind, from a cursor on, which is 0 first and last.
type scan func(ctx context.Context, rdb redis.UniversalClient, k Kind, cursor uint64) (members []string, next uint64, err error)

const scanSize = 1000

func scanCounts(ctx context.Context, rdb redis.UniversalClient, k Kind, cursor uint64) ([]string, uint64, error) {
	return pairKeys(rdb.ZScan(ctx, k.Key(), cursor, "", scanSize).Result())
}

func scanDebts(ctx context.Context, rdb redis.UniversalClient, k Kind, cursor uint64) ([]string, uint64, error) {
	return pairKeys(rdb.HScan(ctx, debtsKey(k), cursor, "", scanSize).Result())
}

func scanSuspects(ctx context.Context, rdb redis.UniversalClient, k Kind, cursor uint64) ([]string, uint64, error) {
	return rdb.SScan(ctx, suspectsKey(k), cursor, "", scanSize).Result()
}

// pairKeys leaves the values of pairs out.
func pairKeys(pairs []string, next uint64, err error) ([]string, uint64, error) {
	members := make([]string, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		members = append(members, pairs[i])
	}
	return members, next, err
}

// each calls f with the members that are ids, some of them more than once, up to scanSize at a time, and removes those
// that are not.
func (r *reconciler) each(ctx context.Context, k Kind, next scan, f func(ids []int64) error, sum *Result) error {
	for cursor := uint64(0); ; {
		members, after, err := next(ctx, r.redisCounts.rdb, k, cursor)
		if err != nil {
			return fmt.Errorf("look through %s: %w", k, err)
		}
		// What is small comes as a whole, whatever count was asked for.
		for some := range slices.Chunk(members, scanSize) {
			var ids []int64
			var wrong []string
			for _, m := range some {
				id, err := strconv.ParseInt(m, 10, 64)
				if err != nil || id <= 0 || strconv.FormatInt(id, 10) != m {
					wrong = append(wrong, m)
					continue
				}
				ids = append(ids, id)
			}
			if err := r.remove(ctx, k, wrong, sum); err != nil {
				return err
			}
			if len(ids) == 0 {
				continue
			}
			if err := f(ids); err != nil {
				return err
			}
		}
		if cursor = after; cursor == 0 {
			return nil
		}
	}
}

// sweep removes the counts of those who are no users. That needs no window: ids are given once, so who is no user after
// his count was seen will never be one again.
func (r *reconciler) sweep(ctx context.Context, k Kind, sum *Result) error {
	for _, all := range []scan{scanCounts, scanDebts, scanSuspects} {
		err := r.each(ctx, k, all, func(ids []int64) error {
			found, err := r.source.existing(ctx, ids)
			if err != nil {
				return err
			}
			users := make(map[int64]bool, len(found))
			for _, id := range found {
				users[id] = true
			}
			var gone []string
			for _, id := range ids {
				if !users[id] {
					gone = append(gone, strconv.FormatInt(id, 10))
				}
			}
			return r.remove(ctx, k, gone, sum)
		}, sum)
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *reconciler) remove(ctx context.Context, k Kind, members []string, sum *Result) error {
	if len(members) == 0 {
		return nil
	}
	n, err := r.redisCounts.remove(ctx, k, members)
	sum.Removed.add(k, int(n))
	return err
}
