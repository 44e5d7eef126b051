package counter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/cache"
)

// Place is a user in a ranking.
type Place struct {
	User  int64 `json:"user"`
	Count int64 `json:"count"`
}

// databasePlaces is what a ranking of the database has: the longest one, and some more for users who are gone.
const databasePlaces = MaxTop + 200

const (
	placesExpiry = 5 * time.Second // of a ranking of the database, which costs it a look at all counts
	placesStale  = time.Minute
)

func (c *Counters) newPlaces(k Kind) *cache.List[Place] {
	return cache.NewList(c.store, cache.ListConfig[Place]{
		Name:   "ranking-" + string(k),
		Key:    "paidui:ranking:" + string(k),
		Load:   func(ctx context.Context) ([]Place, error) { return c.db.top(ctx, k, databasePlaces) },
		Valid:  func(p Place) bool { return p.User > 0 && p.Count > 0 },
		Expiry: placesExpiry,
		Near:   1,
		Stale:  placesStale,
	})
}

// places returns the users from a place on, 0 first, at most n, those with the highest counts first, and where counts are
// the same in descending order of the text of their ids, as ZREVRANGE has them. Those without any are left out. They come
// from the sorted set; from the database where that can't be relied on, which tells of the first databasePlaces.
func (c *Counters) places(ctx context.Context, k Kind, from, n int) ([]Place, error) {
	places, err := c.ranked(ctx, k, from, n)
	if err == nil {
		return places, nil
	}
	if ctx.Err() != nil {
		return nil, err
	}
	if !errors.Is(err, cache.ErrAway) { // they are not whole, or somebody else has changed their type
		c.ask(ctx, Args{})
	}
	if places, err = c.fallback[k].Get(ctx); err != nil {
		return nil, err
	}
	from = min(from, len(places))
	return places[from:min(from+n, len(places))], nil
}

var errUnbuilt = errors.New("the counts in Redis are not whole")

// ranked reads places from the sorted set.
func (c *Counters) ranked(ctx context.Context, k Kind, from, n int) ([]Place, error) {
	var found []string
	err := c.store.Read(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
		found, err = topScript.Run(ctx, rdb, keys(k), from, from+n-1).StringSlice()
		return err
	})
	switch {
	case errors.Is(err, redis.Nil):
		return nil, errUnbuilt
	case err != nil:
		return nil, fmt.Errorf("read the ranking of %s: %w", k, err)
	}
	places := make([]Place, 0, len(found)/2)
	for i := 0; i+1 < len(found); i += 2 {
		user, err := strconv.ParseInt(found[i], 10, 64)
		score, scoreErr := strconv.ParseFloat(found[i+1], 64)
		if err != nil || scoreErr != nil {
			user = 0 // nobody; the next reconciliation removes it
		}
		places = append(places, Place{user, int64(score)})
	}
	return places, nil
}
