package counter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/cache"
)

// Place is a user in a ranking.
type Place struct {
	User  int64 `json:"user"`
	Count int64 `json:"count"`
}

// MaxTop is the length of the longest ranking.
const MaxTop = 1000

// spare is how many more places are read, for users who are gone.
const spare = 200

const (
	topNear   = time.Second     // a ranking of the sorted sets is kept in the process
	topExpiry = 5 * time.Second // and one of the database in Redis
)

// ranking is the users of a kind by their counts.
type ranking struct {
	kind     Kind
	database *cache.List[Place] // while the sorted set can't be relied on

	mu    sync.Mutex
	top   []Place // the first places that were asked for last
	asked int     // how many those were; fewer may be there
	until time.Time
}

func (c *Counters) newRanking(k Kind) *ranking {
	return &ranking{kind: k, database: cache.NewList(c.store, cache.ListConfig[Place]{
		Name:   "ranking-" + string(k),
		Key:    "paidui:ranking:" + string(k),
		Load:   func(ctx context.Context) ([]Place, error) { return c.source.top(ctx, k, MaxTop+spare) },
		Expiry: topExpiry,
		Near:   1,
		Stale:  time.Minute,
	})}
}

// Top returns the n users with the highest counts of a kind, 1 to MaxTop and some more, so that those who are gone can be
// left out; users without any are not among them. Where counts are the same, ids come in descending order of their text,
// as ZREVRANGE has it. The ranking is up to a second old, a few seconds while it comes from the database. The caller must
// not change it.
func (c *Counters) Top(ctx context.Context, k Kind, n int) ([]Place, error) {
	r := c.top[k]
	if r == nil || n < 1 || n > MaxTop {
		return nil, fmt.Errorf("top %d of %q: there is no such ranking", n, k)
	}
	n += spare
	if top, ok := r.near(n, time.Now()); ok {
		return top, nil
	}
	top, err := c.ranked(ctx, k, n)
	if err == nil {
		r.keep(top, n, time.Now())
		return top, nil
	}
	if errors.Is(err, errUnbuilt) || redis.HasErrorPrefix(err, "WRONGTYPE") {
		c.ask(ctx, Args{})
	}
	if ctx.Err() != nil {
		return nil, err
	}
	if top, err = r.database.Get(ctx); err != nil {
		return nil, err
	}
	return top[:min(n, len(top))], nil
}

func (r *ranking) near(n int, now time.Time) ([]Place, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > r.asked || now.After(r.until) {
		return nil, false
	}
	return r.top[:min(n, len(r.top))], true
}

func (r *ranking) keep(top []Place, n int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n >= r.asked || now.After(r.until) {
		r.top, r.asked, r.until = top, n, now.Add(topNear)
	}
}

var errUnbuilt = errors.New("the counts in Redis are not whole")

// ranked reads the first places from the sorted set.
func (c *Counters) ranked(ctx context.Context, k Kind, n int) ([]Place, error) {
	var found []string
	err := c.store.Read(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
		found, err = topScript.Run(ctx, rdb, keys(k), 0, n-1).StringSlice()
		return err
	})
	switch {
	case errors.Is(err, redis.Nil):
		return nil, errUnbuilt
	case err != nil:
		return nil, fmt.Errorf("read the ranking of %s: %w", k, err)
	}
	top := make([]Place, 0, len(found)/2)
	for i := 0; i+1 < len(found); i += 2 {
		user, err := strconv.ParseInt(found[i], 10, 64)
		score, scoreErr := strconv.ParseFloat(found[i+1], 64)
		if err != nil || scoreErr != nil {
			continue // nobody's; the next reconciliation removes it
		}
		top = append(top, Place{user, int64(score)})
	}
	return top, nil
}
