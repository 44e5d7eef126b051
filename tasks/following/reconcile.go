package following

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/cache"
)

// Reconciled counts what Reconcile did.
type Reconciled struct {
	Lists    int `json:"lists"`    // that Redis had
	Checked  int `json:"checked"`  // entries that were compared
	Repaired int `json:"repaired"` // entries that were not true, and lists that were none and were dropped
}

const (
	scanBatch    = 1000 // keys of a SCAN
	compareBatch = 1000 // entries that are compared together

	// A Redis that does not answer for a moment does not make the whole run begin again.
	awayTries = 10
	awayPause = time.Second
)

// Reconcile compares all lists that Redis holds with the database, in batches, and makes the entries true that differ. It
// may run while others write, and be interrupted and repeated at any time: an entry is repaired as a change is applied,
// so that nothing that changes meanwhile is undone. progress is told after each batch; it may be nil.
func (f *Followings) Reconcile(ctx context.Context, progress func(Reconciled)) (done Reconciled, err error) {
	if progress == nil {
		progress = func(Reconciled) {}
	}
	r := reconciler{Followings: f, done: &done, told: func() { progress(done) }}
	if err := eachMaster(ctx, f.store.Redis(), r.scan); err != nil {
		return done, fmt.Errorf("reconciling followings: %w", err)
	}
	return done, nil
}

// eachMaster calls scan with every server that has a part of the keys, one after the other.
func eachMaster(ctx context.Context, rdb redis.UniversalClient, scan func(context.Context, redis.Cmdable) error) error {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		return scan(ctx, rdb)
	}
	turn := make(chan struct{}, 1)
	return cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		turn <- struct{}{} // a batch of each at a time would be as many batches in memory
		defer func() { <-turn }()
		return scan(ctx, master)
	})
}

// reconciler is one run of Reconcile.
type reconciler struct {
	*Followings
	done *Reconciled
	told func()
}

// scan looks for lists on one server.
func (r *reconciler) scan(ctx context.Context, server redis.Cmdable) error {
	var cursor uint64
	for {
		keys, next, err := server.Scan(ctx, cursor, keyPattern, scanBatch).Result()
		if err != nil {
			return err
		}
		for _, key := range keys {
			if err := r.found(ctx, key); err != nil {
				return err
			}
		}
		r.told()
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// found checks the list that a key belongs to, if it does. A list that is not empty has two keys; it is checked once.
func (r *reconciler) found(ctx context.Context, key string) error {
	l, isList, ok := parseKey(key)
	if !ok {
		return nil
	}
	if !isList {
		var n int64
		err := r.store.Use(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
			n, err = rdb.Exists(ctx, l.key()).Result()
			return err
		})
		if err != nil || n > 0 {
			return err
		}
	}
	for try := 1; ; try++ {
		before := *r.done
		err := r.check(ctx, l)
		if err == nil {
			return nil
		}
		if !errors.Is(err, cache.ErrAway) || try == awayTries {
			return fmt.Errorf("list of user %d: %w", l, err)
		}
		r.done.Lists, r.done.Checked = before.Lists, before.Checked
		if err := r.sleep(ctx, awayPause); err != nil {
			return err
		}
	}
}
