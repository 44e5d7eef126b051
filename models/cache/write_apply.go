package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/paidui/paidui/models/redisx"
)

// Apply implements Applier, as the strategy says. A value that can't be rewritten is taken away instead.
func (c *Cache[K, T]) Apply(ctx context.Context, task string, texts []string) error {
	var errs []error
	var ids []K
	for _, text := range texts {
		id, err := parseID[K](text)
		if err == nil {
			_, err = c.entry(id)
		}
		if err != nil {
			errs = append(errs, &MalformedError{text, err})
			continue
		}
		ids = append(ids, id)
	}
	errs = append(errs, inBatches(unique(ids), func(ids []K) error {
		c.forgetAll(ids)
		defer c.forgetAll(ids)
		switch {
		case !c.cfg.Strategy.follows():
			return nil
		case c.cfg.Strategy&UpdateOnWrite == 0:
			return c.invalidate(ctx, task, ids)
		}
		_, left, err := c.rewrite(ctx, task, ids, c.cfg.Strategy&DeleteOnWrite != 0)
		if err == nil && len(left) == 0 {
			return nil
		}
		if err := c.invalidate(ctx, task, left); err != nil {
			return err
		}
		c.store.warn(ctx, "a value could not be rewritten: it was taken from the cache", "cache", c.cfg.Name, "error", err)
		return nil
	}))
	return errors.Join(errs...)
}

// Clear takes the values of ids from the cache. Call it after the commit of a write that has no task, and no reader
// brings the old value back.
func (c *Cache[K, T]) Clear(ctx context.Context, ids ...K) error {
	return inBatches(unique(ids), func(ids []K) error {
		c.forgetAll(ids)
		defer c.forgetAll(ids)
		return c.invalidate(ctx, "", ids)
	})
}

// Refresh loads the values of ids and stores them, whatever is cached. It returns how many were stored; one that was
// written all the while is left to its writers.
func (c *Cache[K, T]) Refresh(ctx context.Context, ids ...K) (int, error) {
	total := 0
	err := inBatches(unique(ids), func(ids []K) error {
		c.forgetAll(ids)
		defer c.forgetAll(ids)
		stored, _, err := c.rewrite(ctx, "", ids, false)
		total += len(stored)
		return err
	})
	return total, err
}

// forgetAll has this process forget what it knows of ids, and is about to. What changes them is between two calls: the
// first, so that no reader of the new value has to wait for an old flight; and the second, for those who read in between.
func (c *Cache[K, T]) forgetAll(ids []K) {
	for _, id := range ids {
		c.flights.forget(id)
		c.store.generations.invalidate(c.message(id))
	}
}

func (c *Cache[K, T]) invalidate(ctx context.Context, task string, ids []K) error {
	entries, err := c.entries(ids)
	if err != nil {
		return err
	}
	_, err = c.store.invalidate(ctx, task, entries, c.cfg.Stale)
	return err
}

// rewrite loads and stores values, whatever is cached, unless the task did before. It returns the items that it stored,
// and the ids left: those that it could not store for an error, or because others kept taking the leases.
func (c *Cache[K, T]) rewrite(ctx context.Context, task string, ids []K, drop bool) (done []*item[T], left []K, err error) {
	for range refusals + 1 {
		if len(ids) == 0 {
			break
		}
		entries, err := c.entries(ids)
		if err != nil {
			return done, ids, err
		}
		token := redisx.NewLeaseToken()
		taken, err := c.store.takeOver(ctx, task, token, entries, drop, c.cfg.Stale)
		if err != nil {
			return done, ids, err
		}
		ids = only(ids, taken)
		entries = only(entries, taken)
		if len(ids) == 0 {
			break
		}
		items, err := c.load(ctx, ids)
		if err != nil {
			return done, ids, errors.Join(err, c.store.release(context.WithoutCancel(ctx), token, entries))
		}
		values := make([]filling, len(ids))
		for i, e := range entries {
			values[i] = c.filling(e, items[ids[i]])
		}
		stored, err := c.store.fill(ctx, task, token, values, true)
		for i, id := range ids {
			if stored[i] {
				done = append(done, items[id])
			}
			stored[i] = !stored[i]
		}
		refused := only(ids, stored)
		c.counts.fills.Add(float64(len(ids) - len(refused)))
		ids = refused
		if err != nil {
			return done, ids, fmt.Errorf("storing %s: %w", c.cfg.Name, err)
		}
		c.counts.refused.Add(float64(len(ids)))
	}
	return done, ids, nil
}

// only are those of all for which keep is true.
func only[E any](all []E, keep []bool) []E {
	var some []E
	for i, e := range all {
		if keep[i] {
			some = append(some, e)
		}
	}
	return some
}
