package seckill

import (
	"context"
	"errors"
	"strconv"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/paidui/paidui/models/redisx"
)

const (
	loadLimit = time.Minute // of one loading, however many orders it merges
	loadPoll  = 20 * time.Millisecond
)

// loader brings a sale from the database into Redis. One process loads at a time, holding a token in Redis; whoever
// changes the goods voids the token, so that what was read before the change is never published after it.
type loader struct {
	ledger ledger
	store  store
	loads  *singleflight.Group // one loading, or one wait for another process, of each goods in this process
	poll   time.Duration       // how often to look whether another process has finished loading
}

func newLoader(l ledger, s store) loader {
	return loader{ledger: l, store: s, loads: &singleflight.Group{}, poll: loadPoll}
}

// load returns when the sale is in Redis, or ErrUnknownGoods. The loading goes on when ctx ends, for the others who wait for it.
func (l loader) load(ctx context.Context, goodsID int64) error {
	done := l.loads.DoChan(strconv.FormatInt(goodsID, 10), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadLimit)
		defer cancel()
		return nil, l.untilLoaded(ctx, goodsID)
	})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r := <-done:
		return r.Err
	}
}

func (l loader) untilLoaded(ctx context.Context, goodsID int64) error {
	for {
		token := redisx.NewLeaseToken()
		whose, err := l.ledger.acquire(ctx, goodsID, token, false)
		if err != nil {
			return err
		}
		switch whose {
		case loadDone:
			return nil
		case loadMine:
			err = l.fill(ctx, goodsID, token)
		default:
			err = wait(ctx, l.poll)
		}
		if err != nil {
			return err
		}
	}
}

// fill merges the orders and publishes the sale, or returns ErrUnknownGoods, unless the token is voided meanwhile. The orders need not be of the
// moment at which the total was read: the total is the same after any of them, and whatever is committed too late to
// be seen here is settled by its own worker.
func (l loader) fill(ctx context.Context, goodsID int64, token string) (err error) {
	defer func() {
		if err != nil {
			ctx, cancel := cleanupContext(ctx)
			defer cancel()
			err = errors.Join(err, l.ledger.release(ctx, goodsID, token))
		}
	}()
	read, err := l.store.sale(ctx, goodsID)
	if err != nil {
		return err
	}
	if !read.found {
		return l.unknown(ctx, goodsID, token)
	}
	if err := l.ledger.markLive(ctx, goodsID); err != nil {
		return err
	}
	if mine, err := l.merge(ctx, goodsID, token); err != nil || !mine {
		return err
	}
	_, err = l.ledger.fill(ctx, goodsID, token, read)
	return err
}

// unknown is ErrUnknownGoods, or nil when the goods were changed, and so perhaps made, since the token was given. Redis is to
// remember nothing: ids can be made up without end.
func (l loader) unknown(ctx context.Context, goodsID int64, token string) error {
	if mine, err := l.ledger.extend(ctx, goodsID, token); err != nil || !mine {
		return err
	}
	return ErrUnknownGoods
}

// merge reports whether the token is still valid at its end.
func (l loader) merge(ctx context.Context, goodsID int64, token string) (bool, error) {
	var last int64
	for {
		page, err := l.store.buyers(ctx, goodsID, last)
		if err != nil || len(page) == 0 {
			return err == nil, err
		}
		if err := l.ledger.merge(ctx, goodsID, page); err != nil {
			return false, err
		}
		if mine, err := l.ledger.extend(ctx, goodsID, token); err != nil || !mine {
			return false, err
		}
		last = page[len(page)-1].ID
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// cleanupContext is for what must still be done when ctx has ended.
func cleanupContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
}
