package following

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// List gives a page of whom the user follows, newest first and of the same time by the text of the id, descending; and
// how many he follows in all. page is 1 to MaxPage, perPage 1 to MaxPerPage. Beyond the last page there are no entries.
//
// Every page comes from Redis, in the same time, but for what a list has beyond Bound entries. While Redis is away pages
// come from the database, within AwayBound; ErrTooDeep refuses others.
func (f *Followings) List(ctx context.Context, user int64, page, perPage int) (total int64, entries []Entry, err error) {
	if page < 1 || page > MaxPage || perPage < 1 || perPage > MaxPerPage {
		return 0, nil, fmt.Errorf("page %d of %d entries: want page 1 to %d of 1 to %d", page, perPage, MaxPage, MaxPerPage)
	}
	l, first := list(user), (page-1)*perPage
	const tries = 3
	for range tries {
		part, hit, err := f.cached(ctx, l, first, perPage)
		switch {
		case err != nil:
			f.meter.Degraded()
			return f.away(ctx, user, first, perPage, err)
		case hit:
			return f.complete(ctx, user, part, first, perPage)
		}
		f.meter.Miss()
		got, err := f.ensure(ctx, l)
		if err != nil {
			return f.away(ctx, user, first, perPage, err)
		}
		if got == busy {
			break
		}
	}
	return f.stored(ctx, user, first, perPage) // the list is long, or changes too fast to be loaded
}

// cached reads a page from Redis. It is no hit when the list is to be loaded.
func (f *Followings) cached(ctx context.Context, l list, first, n int) (got partOf, hit bool, err error) {
	var answer any
	err = f.store.Read(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
		answer, err = pageScript.Run(ctx, rdb, l.keys(), first, first+n-1).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return got, false, nil
	}
	if err == nil {
		got, err = parsePart(answer)
	}
	if errors.Is(err, errPoisoned) {
		f.log.WarnContext(ctx, "a cached list of followings is not ours; it is loaded again", "user_id", int64(l), "error", err)
		_, err = f.runBool(ctx, dropScript, l.keys())
		return got, false, err
	}
	return got, err == nil, err
}

// complete makes a page of what Redis has of it.
func (f *Followings) complete(ctx context.Context, user int64, part partOf, first, n int) (total int64, entries []Entry, err error) {
	switch {
	case part.n == 0:
		f.meter.Null()
		return 0, nil, nil
	case part.state != "more":
		f.meter.Hit()
		return int64(part.n), part.entries, nil
	case first+n > part.n:
		return f.stored(ctx, user, first, n)
	}
	f.meter.Hit()
	err = f.store.Load(ctx, func(ctx context.Context) (err error) {
		total, err = f.rows.count(ctx, user)
		return err
	})
	return total, part.entries, err
}

// away reads a page from the database because of a failure.
func (f *Followings) away(ctx context.Context, user int64, first, n int, cause error) (int64, []Entry, error) {
	switch {
	case ctx.Err() != nil:
		return 0, nil, context.Cause(ctx)
	case first+n > AwayBound:
		return 0, nil, fmt.Errorf("%w: %w", ErrTooDeep, cause)
	}
	return f.stored(ctx, user, first, n)
}

// stored reads a page from the database.
func (f *Followings) stored(ctx context.Context, user int64, first, n int) (total int64, entries []Entry, err error) {
	err = f.store.Load(ctx, func(ctx context.Context) (err error) {
		if total, err = f.rows.count(ctx, user); err != nil || int64(first) >= total {
			return err
		}
		entries, err = f.rows.page(ctx, user, first, n)
		return err
	})
	if err != nil {
		return 0, nil, fmt.Errorf("reading the followings of user %d: %w", user, err)
	}
	return total, entries, nil
}
