package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/paidui/paidui/models/redisx"
)

const (
	leaseWait     = 2 * time.Second // for a value that another loads
	firstPause    = 5 * time.Millisecond
	longestPause  = 50 * time.Millisecond
	refusals      = 2                // fills that are refused are followed by another read so many times
	flightTimeout = 20 * time.Second // of all that a miss may take
)

// want is a value that a miss is about.
type want[K ID, T any] struct {
	id      K
	entry   entry
	bad     raw // what Redis holds, and does not decode
	read    reading
	flight  *flight[K, T]
	ended   bool
	refused int
}

// miss gets values that are not in the cache. A value that another reader of the process is getting is awaited.
func (c *Cache[K, T]) miss(ctx context.Context, wants []want[K, T]) ([]*item[T], error) {
	c.counts.misses.Add(float64(len(wants)))
	var mine []*want[K, T]
	for i := range wants {
		fl, first := c.flights.join(wants[i].id)
		wants[i].flight = fl
		if first {
			mine = append(mine, &wants[i])
		}
	}
	if len(mine) > 0 && !c.store.shutdown.run(ctx, func(ctx context.Context) { c.lead(ctx, mine) }) {
		for _, w := range mine {
			c.end(w, nil, ErrClosed)
		}
	}
	items := make([]*item[T], len(wants))
	for i := range wants {
		fl := wants[i].flight
		select {
		case <-fl.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("reading %s: %w", wants[i].entry.key, context.Cause(ctx))
		}
		if fl.err != nil {
			return nil, fmt.Errorf("reading %s: %w", wants[i].entry.key, fl.err)
		}
		items[i] = fl.item
	}
	return items, nil
}

// lead runs the flights that this process began, and ends each as soon as it can.
func (c *Cache[K, T]) lead(ctx context.Context, open []*want[K, T]) {
	ctx, cancel := context.WithTimeout(ctx, flightTimeout)
	defer cancel()
	all := open
	defer func() {
		p := recover()
		for _, w := range all {
			if !w.ended {
				c.end(w, nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}
	}()
	began, pause := time.Now(), firstPause
	for len(open) > 0 {
		for _, w := range open {
			w.read = c.reading(w.entry)
		}
		token := redisx.NewLeaseToken()
		found, err := c.store.getOrLease(ctx, entriesOf(open), token, badOf(open))
		if err != nil {
			c.loadOnly(ctx, open)
			return
		}
		var again, held, others, failed []*want[K, T]
		for i, w := range open {
			switch f := found[i]; {
			case f.err != nil:
				if !errors.Is(f.err, ErrAway) { // which is logged
					c.store.warn(ctx, "the cache's Redis refuses a read", "cache", c.cfg.Name, "error", f.err)
				}
				failed = append(failed, w)
			case f.mine:
				held = append(held, w)
			case f.value == nil:
				others = append(others, w)
			default:
				if it, ok := c.decode(ctx, w.id, w.entry.key, f.value); ok {
					c.near.keep(w.id, it, w.read)
					c.end(w, it, nil)
				} else {
					w.bad = f.value
					again = append(again, w)
				}
			}
		}
		again = append(again, c.loadAndFill(ctx, token, held)...)
		c.loadOnly(ctx, failed)
		if len(others) > 0 && time.Since(began) >= leaseWait {
			c.leaseTimeout(ctx, others)
			others = nil
		}
		if len(others) > 0 && len(again) == 0 {
			sleep(ctx, pause)
			pause = min(2*pause, longestPause)
		}
		open = append(again, others...)
	}
}

// loadAndFill is about values whose leases the token holds. It returns those that were written meanwhile, and are to be
// read again.
func (c *Cache[K, T]) loadAndFill(ctx context.Context, token string, held []*want[K, T]) (again []*want[K, T]) {
	if len(held) == 0 {
		return nil
	}
	items, err := c.load(ctx, idsOf(held))
	if err != nil {
		if err := c.store.release(ctx, token, entriesOf(held)); err != nil && !errors.Is(err, ErrAway) {
			c.store.warn(ctx, "a lease could not be given up", "cache", c.cfg.Name, "error", err)
		}
		c.fail(ctx, held, err)
		return nil
	}
	held = c.withoutNulls(ctx, token, held, items)
	values := make([]filling, len(held))
	for i, w := range held {
		values[i] = c.filling(w.entry, items[w.id])
	}
	stored, err := c.store.fill(ctx, "", token, values, false)
	if err != nil {
		c.store.warn(ctx, "filling the cache failed", "cache", c.cfg.Name, "error", err)
	}
	for i, w := range held {
		switch {
		case stored[i]:
			c.counts.fills.Inc()
			c.near.keep(w.id, items[w.id], w.read)
			c.end(w, items[w.id], nil)
		case err != nil:
			c.end(w, items[w.id], nil)
		default:
			c.counts.refused.Inc()
			if w.refused++; w.refused > refusals {
				c.end(w, items[w.id], nil)
			} else {
				again = append(again, w)
			}
		}
	}
	return again
}

// loadOnly is about values that Redis can't be asked for.
func (c *Cache[K, T]) loadOnly(ctx context.Context, open []*want[K, T]) {
	if len(open) == 0 {
		return
	}
	items, err := c.load(ctx, idsOf(open))
	if err != nil {
		c.fail(ctx, open, err)
		return
	}
	for _, w := range open {
		c.near.keep(w.id, items[w.id], w.read)
		c.end(w, items[w.id], nil)
	}
}

// leaseTimeout is about values whose lease another process has held for long: it is slow, or dead.
func (c *Cache[K, T]) leaseTimeout(ctx context.Context, open []*want[K, T]) {
	c.loadOnly(ctx, c.serveLast(ctx, open))
}

// fail ends flights whose load failed.
func (c *Cache[K, T]) fail(ctx context.Context, open []*want[K, T], err error) {
	left := c.serveLast(ctx, open)
	if len(left) < len(open) {
		c.store.warn(ctx, "a load failed; last known values are served", "cache", c.cfg.Name, "error", err)
	}
	for _, w := range left {
		c.end(w, nil, err)
	}
}

// serveLast ends flights with the last known values, where the cache may serve such. It returns the others.
func (c *Cache[K, T]) serveLast(ctx context.Context, open []*want[K, T]) (left []*want[K, T]) {
	if c.cfg.Stale == 0 {
		return open
	}
	keys := make([]string, 0, len(open))
	for _, w := range open {
		if it, ok := c.near.last(w.id); ok {
			c.counts.stale.Inc()
			c.end(w, it, nil)
			continue
		}
		left, keys = append(left, w), append(keys, w.entry.last())
	}
	if len(left) == 0 {
		return nil
	}
	found := c.store.backends.fetch(ctx, keys)
	open, left = left, nil
	for i, w := range open {
		if found[i].value != nil {
			if it, ok := c.decode(ctx, w.id, keys[i], found[i].value); ok {
				c.counts.stale.Inc()
				c.end(w, it, nil)
				continue
			}
		}
		left = append(left, w)
	}
	return left
}

// withoutNulls ends the flights of null values that are too many for Redis. It returns the others.
func (c *Cache[K, T]) withoutNulls(ctx context.Context, token string, held []*want[K, T], items map[K]*item[T]) (rest []*want[K, T]) {
	var nulls []*want[K, T]
	for _, w := range held {
		if items[w.id].null && !c.store.nulls.mayFill() {
			nulls = append(nulls, w)
		} else {
			rest = append(rest, w)
		}
	}
	if len(nulls) == 0 {
		return held
	}
	if err := c.store.release(ctx, token, entriesOf(nulls)); err != nil && !errors.Is(err, ErrAway) {
		c.store.warn(ctx, "a lease could not be given up", "cache", c.cfg.Name, "error", err)
	}
	c.counts.unfilled.Add(float64(len(nulls)))
	for _, w := range nulls {
		c.store.nulls.keep(w.entry.key, w.read.mark)
		c.end(w, items[w.id], nil)
	}
	return rest
}

func (c *Cache[K, T]) end(w *want[K, T], it *item[T], err error) {
	w.ended = true
	c.flights.end(w.flight, it, err)
}

// load reads the database: an item for each id.
func (c *Cache[K, T]) load(ctx context.Context, ids []K) (map[K]*item[T], error) {
	items := make(map[K]*item[T], len(ids))
	began := time.Now()
	defer func() { c.counts.load.Observe(time.Since(began).Seconds()) }()
	err := c.store.Load(ctx, func(ctx context.Context) error {
		values, err := c.cfg.Load(ctx, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			v, found := values[id]
			if items[id], err = encode(v, found); err != nil {
				return fmt.Errorf("%v: %w", id, err)
			}
		}
		return nil
	})
	if err != nil {
		c.counts.failed.Inc()
		return nil, fmt.Errorf("loading %s: %w", c.cfg.Name, err)
	}
	return items, nil
}

func (c *Cache[K, T]) filling(e entry, it *item[T]) filling {
	return filling{entry: e, value: it.raw, expiry: c.cfg.expiry(it.null), stale: c.cfg.Stale}
}

func entriesOf[K ID, T any](wants []*want[K, T]) []entry {
	entries := make([]entry, len(wants))
	for i, w := range wants {
		entries[i] = w.entry
	}
	return entries
}

func badOf[K ID, T any](wants []*want[K, T]) []raw {
	bad := make([]raw, len(wants))
	for i, w := range wants {
		bad[i] = w.bad
	}
	return bad
}

func idsOf[K ID, T any](wants []*want[K, T]) []K {
	ids := make([]K, len(wants))
	for i, w := range wants {
		ids[i] = w.id
	}
	return ids
}

// sleep ends early with ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
