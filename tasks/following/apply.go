package following

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/redisx"
)

const (
	entryLease = 10 * time.Second // longer than reading the rows takes
	applyBatch = 200              // entries whose rows are read together
	applyTries = 5
)

// errContended says that others change the same entries at the same time, over and over.
var errContended = errors.New("others change the same entries of the list")

// Apply implements cache.Applier: it carries committed changes over to Redis. To repeat it, in any order, does no harm.
func (f *Followings) Apply(ctx context.Context, _ string, ids []string) error {
	var order []list
	targets := make(map[list][]int64)
	var errs []error
	for _, id := range ids {
		user, target, err := parseChange(id)
		if err != nil {
			errs = append(errs, &cache.MalformedError{ID: id, Cause: err})
			continue
		}
		l := list(user)
		if targets[l] == nil {
			order = append(order, l)
		}
		if !slices.Contains(targets[l], target) {
			targets[l] = append(targets[l], target)
		}
	}
	for _, l := range order {
		for batch := range slices.Chunk(targets[l], applyBatch) {
			if _, err := f.renew(ctx, l, batch); err != nil {
				errs = append(errs, fmt.Errorf("list of user %d: %w", l, err))
			}
		}
	}
	return errors.Join(errs...)
}

// renew makes entries of a list, all of them different, true to the database, and tells how many were not.
func (f *Followings) renew(ctx context.Context, l list, targets []int64) (changed int, err error) {
	for try := range applyTries {
		if try > 0 {
			if err := f.sleep(ctx, rand.N(10*time.Millisecond<<try)); err != nil {
				return changed, err
			}
		}
		n, left, err := f.renewOnce(ctx, l, targets)
		changed += n
		if err != nil || len(left) == 0 {
			return changed, err
		}
		targets = left
	}
	return changed, errContended
}

// renewOnce is one round: it returns how many entries have changed, and those that others took meanwhile.
func (f *Followings) renewOnce(ctx context.Context, l list, targets []int64) (changed int, left []int64, err error) {
	token := redisx.NewLeaseToken()
	keys := l.keys()
	for _, target := range targets {
		keys = append(keys, l.entry(target))
	}
	there, err := f.runBool(ctx, takeOverScript, keys, token, entryLease.Milliseconds())
	if err != nil || !there {
		return 0, nil, err
	}
	reading, cancel := context.WithTimeout(ctx, entryLease/2)
	defer cancel()
	found, err := f.rows.some(reading, int64(l), targets)
	if err != nil {
		return 0, nil, err
	}
	args := []any{token, f.bound, f.fewest(), newLife().Milliseconds()}
	for _, target := range targets {
		score := ""
		if e, ok := found[target]; ok {
			score = e.score()
		}
		args = append(args, target, score)
	}
	got, err := f.run(ctx, applyScript, keys, args...)
	if err != nil {
		return 0, nil, err
	}
	answers, _ := got.([]any)
	if len(answers) != len(targets) {
		return 0, nil, errAnswer
	}
	for i, answer := range answers {
		switch answer {
		case lost:
			left = append(left, targets[i])
		case changedNow:
			changed++
		}
	}
	return changed, left, nil
}

// What applyScript answers of an entry, beside 1.
const (
	lost       = int64(0)
	changedNow = int64(2)
)

// fewest is how few entries a list keeps that is a part: below, it is loaded again.
func (f *Followings) fewest() int { return f.bound / 2 }

const (
	life   = time.Hour // of a list in Redis
	jitter = 6 * time.Minute
)

func newLife() time.Duration { return life + rand.N(jitter) }

// sleep returns after d, or with an error when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

var _ cache.Applier = (*Followings)(nil)
