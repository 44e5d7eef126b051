package counter

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// sizes are how many users are looked at at a time.
type sizes struct {
	page   int // compared in one window
	check  int // whose counts are asked for
	repair int // whose counts are repaired; Redis does nothing else meanwhile
	freeze int // whose counts stand still
}

var standardSizes = sizes{page: 5000, check: 1000, repair: 500, freeze: 50}

const (
	rangeLife   = time.Minute
	rangeLimit  = 45 * time.Second // for the snapshot of a range
	frozenLife  = 20 * time.Second
	frozenLimit = 15 * time.Second // for the snapshot of users who are frozen

	windowTries = 3 // a window is lost when it has expired
	runTries    = 3 // a run is lost when Redis loses counts
)

// reconciler makes the counts in Redis true to the database while traffic goes on. It compares some thousands of users at
// a time:
//
//  1. It opens a window on their range. From then on whoever counts a change notes its user there.
//  2. It takes a snapshot: counts, and changes whose tasks have not ended, from one snapshot of the database.
//  3. A script gives each user the count, and marks the changes on their way that are in it, so that they are not counted
//     again. A user who was noted stays: the change that was counted may be in the snapshot or not.
//  4. It closes the window, and compares those who were noted again, in windows in which their counts stand still.
//
// The reconciler may die anywhere, and several may run at the same time: a window belongs to one of them, expires, and
// what it has repaired is right.
type reconciler struct {
	redisCounts redisCounts
	source      source
	invalidate  func(ctx context.Context, users map[int64]bool) error // drops what was computed from counts that were repaired
	report      func(done, total int64, note string) error            // says how far it is
	log         *slog.Logger
	poll        time.Duration // between looks whether another's window is closed
	sizes       sizes
}

// Sums are numbers of each kind.
type Sums struct {
	Articles   int64 `json:"articles"`
	Followings int64 `json:"followings"`
	Followers  int64 `json:"followers"`
}

func (s *Sums) add(k Kind, n int) {
	switch k {
	case Articles:
		s.Articles += int64(n)
	case Followings:
		s.Followings += int64(n)
	case Followers:
		s.Followers += int64(n)
	}
}

// Result is what a reconciliation has done.
type Result struct {
	Users    int64 `json:"users"`    // that were compared
	Repaired Sums  `json:"repaired"` // counts that were others
	Removed  Sums  `json:"removed"`  // counts of nobody
}

// whole reconciles all users, and then says in Redis that the counts can be relied on. It begins again when Redis loses
// counts meanwhile.
func (r *reconciler) whole(ctx context.Context) (Result, error) {
	var (
		sum Result
		err error
	)
	for range runTries {
		sum, err = r.run(ctx)
		if !errors.Is(err, errRun) {
			break
		}
		r.log.WarnContext(ctx, "Redis has lost counts while they were reconciled; beginning again", "error", err)
	}
	return sum, err
}

func (r *reconciler) run(ctx context.Context) (sum Result, err error) {
	run := rand.Text()
	for _, k := range Kinds() {
		if err := r.redisCounts.begin(ctx, k, run); err != nil {
			return sum, err
		}
	}
	total, err := r.source.total(ctx)
	if err != nil {
		return sum, err
	}
	for last := int64(0); ; {
		users, next, err := r.source.page(ctx, last, r.sizes.page)
		if err != nil {
			return sum, err
		}
		if users == 0 {
			break
		}
		if err := r.rangeOf(ctx, run, last+1, next, &sum); err != nil {
			return sum, err
		}
		last = next
		sum.Users += int64(users)
		total = max(total, sum.Users) // some have come since
		if err := r.report(sum.Users, total, "comparing"); err != nil {
			return sum, err
		}
	}
	for _, k := range Kinds() {
		if err := r.report(sum.Users, sum.Users, "removing counts of nobody: "+string(k)); err != nil {
			return sum, err
		}
		if err := r.sweep(ctx, k, &sum); err != nil {
			return sum, err
		}
	}
	for _, k := range Kinds() {
		whole, err := r.redisCounts.finish(ctx, k, run)
		if err != nil {
			return sum, err
		}
		if !whole {
			return sum, errRun
		}
	}
	return sum, nil
}

// rangeOf reconciles the users from lo to hi.
func (r *reconciler) rangeOf(ctx context.Context, run string, lo, hi int64, sum *Result) error {
	noted, err := r.compare(ctx, run, scope{lo: lo, hi: hi}, sum)
	if err != nil {
		return err
	}
	return r.frozen(ctx, run, noted, sum)
}

// frozen reconciles users while their counts stand still, some at a time.
func (r *reconciler) frozen(ctx context.Context, run string, users []int64, sum *Result) error {
	for some := range slices.Chunk(users, r.sizes.freeze) {
		if _, err := r.compare(ctx, run, scope{users: some}, sum); err != nil {
			return err
		}
	}
	return nil
}

// compare reconciles the users of a scope in a window of their own, and returns those who were noted there.
func (r *reconciler) compare(ctx context.Context, run string, s scope, sum *Result) (noted []int64, err error) {
	for range windowTries {
		var w window
		noted, err = w.compare(ctx, r, run, s)
		sum.take(w)
		if err == nil || !errors.Is(err, errWindow) || ctx.Err() != nil {
			return noted, err
		}
	}
	return noted, err
}

// suspects reconciles the users of whom it is not sure whether all of their changes are counted.
func (r *reconciler) suspects(ctx context.Context) (sum Result, err error) {
	var total int64
	for _, k := range Kinds() {
		n, err := r.redisCounts.rdb.SCard(ctx, suspectsKey(k)).Result()
		if err != nil {
			return sum, err
		}
		total += n
	}
	for _, k := range Kinds() {
		err := r.each(ctx, k, scanSuspects, func(ids []int64) error {
			if err := r.frozen(ctx, "", ids, &sum); err != nil {
				return err
			}
			sum.Users += int64(len(ids))
			total = max(total, sum.Users)
			return r.report(sum.Users, total, "comparing suspects")
		}, &sum)
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}
