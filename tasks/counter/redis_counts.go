package counter

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// redisCounts is the counts in Redis.
type redisCounts struct{ rdb redis.UniversalClient }

// keys are those of a script, in its order.
func keys(k Kind, more ...string) []string {
	list := make([]string, 0, keyCount+len(more))
	list = append(list, k.Key(), hidden(k, "built"), hidden(k, "window"), hidden(k, "noted"), hidden(k, "frozen"),
		hidden(k, "suspects"), hidden(k, "debts"))
	return append(list, more...)
}

func suspectsKey(k Kind) string { return hidden(k, "suspects") }
func debtsKey(k Kind) string    { return hidden(k, "debts") }

// share is what a task changes of one user's count.
type share struct{ user, delta int64 }

// outcome is what became of a task's changes.
type outcome string

const (
	counted     outcome = "done" // now or before
	frozen      outcome = "wait" // nothing has happened: somebody is comparing a user with the database, for some milliseconds
	lateForMark outcome = "late" // the users are suspects now
)

// apply counts what a task has changed, once, however often it is called.
func (l redisCounts) apply(ctx context.Context, k Kind, o origin, shares []share) (outcome, error) {
	args := make([]any, 0, 3+3*len(shares))
	args = append(args, o.at, keep.Milliseconds(), o.expiry())
	for _, s := range shares {
		args = append(args, s.user, s.delta, o.mark(s.user))
	}
	answer, err := applyScript.Run(ctx, l.rdb, keys(k, o.bucket(k)), args...).Text()
	if err != nil {
		return "", fmt.Errorf("count %s: %w", k, err)
	}
	return outcome(answer), nil
}

// runLife is after how long a reconciliation that did not end is forgotten, in ms.
const runLife = 24 * 3600 * 1000

// begin notes that a reconciliation of all users begins.
func (l redisCounts) begin(ctx context.Context, k Kind, run string) error {
	if err := beginScript.Run(ctx, l.rdb, keys(k), run, runLife).Err(); err != nil {
		return fmt.Errorf("begin to reconcile %s: %w", k, err)
	}
	return nil
}

// finish notes that all users were reconciled. It reports false when Redis has lost something since begin.
func (l redisCounts) finish(ctx context.Context, k Kind, run string) (bool, error) {
	whole, err := finishScript.Run(ctx, l.rdb, keys(k), run).Bool()
	if err != nil {
		return false, fmt.Errorf("end reconciling %s: %w", k, err)
	}
	return whole, nil
}

var (
	// errBusy says that somebody else compares users with the database.
	errBusy = errors.New("another reconciliation has its window open")
	// errWindow says that a window has expired or was lost, and whoever was noted in it.
	errWindow = errors.New("the window was lost")
	// errRun says that Redis has lost what was reconciled before.
	errRun = errors.New("counts were lost from Redis since the reconciliation began")
)

// scope is which users are compared: those that are listed, else those from lo to hi.
type scope struct {
	lo, hi int64
	users  []int64
}

func (s scope) has(user int64) bool { return s.users == nil && s.lo <= user && user <= s.hi }

// open opens a window. The users of a range are noted when their counts change; those that are listed can't change. run is
// the reconciliation of all users that it is part of, or "".
func (l redisCounts) open(ctx context.Context, k Kind, token, run string, s scope) error {
	life := rangeLife
	args := []any{token, 0, run, s.lo, s.hi}
	if s.users != nil {
		life = frozenLife
		for _, u := range s.users {
			args = append(args, u)
		}
	}
	args[1] = life.Milliseconds()
	answer, err := openScript.Run(ctx, l.rdb, keys(k), args...).Text()
	switch {
	case err != nil:
		return fmt.Errorf("open a window on %s: %w", k, err)
	case answer == "busy":
		return errBusy
	case answer == "lost":
		return errRun
	}
	return nil
}

// close ends a window, and returns the users who were noted in it.
func (l redisCounts) close(ctx context.Context, k Kind, token string) ([]int64, error) {
	noted, err := closeScript.Run(ctx, l.rdb, keys(k), token).StringSlice()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, errWindow
	case err != nil:
		return nil, fmt.Errorf("close the window on %s: %w", k, err)
	}
	users := make([]int64, len(noted))
	for i, text := range noted {
		if users[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, fmt.Errorf("user noted in the window on %s: %w", k, err)
		}
	}
	return users, nil
}

// doubtful returns those of the users whose counts are not plainly the given ones.
func (l redisCounts) doubtful(ctx context.Context, k Kind, users []int64, counts map[int64]int64) ([]int64, error) {
	members := make([]string, len(users))
	for i, u := range users {
		members[i] = strconv.FormatInt(u, 10)
	}
	pipe := l.rdb.Pipeline()
	scores := pipe.ZMScore(ctx, k.Key(), members...)
	debts, suspects := pipe.HLen(ctx, debtsKey(k)), pipe.SCard(ctx, suspectsKey(k))
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read counts of %s: %w", k, err)
	}
	odd := make(map[int64]bool)
	if debts.Val() > 0 {
		owed, err := l.rdb.HMGet(ctx, debtsKey(k), members...).Result()
		if err != nil {
			return nil, fmt.Errorf("read counts of %s: %w", k, err)
		}
		for i, u := range users {
			odd[u] = odd[u] || owed[i] != nil
		}
	}
	if suspects.Val() > 0 {
		members := asAny(members)
		doubted, err := l.rdb.SMIsMember(ctx, suspectsKey(k), members...).Result()
		if err != nil {
			return nil, fmt.Errorf("read counts of %s: %w", k, err)
		}
		for i, u := range users {
			odd[u] = odd[u] || doubted[i]
		}
	}
	var list []int64
	for i, u := range users {
		if odd[u] || scores.Val()[i] != float64(counts[u]) {
			list = append(list, u)
		}
	}
	return list, nil
}

// repair makes the counts of users true to a snapshot that was taken while the window was open, and returns whose counts
// were others.
func (l redisCounts) repair(ctx context.Context, k Kind, token string, users []int64, c *snapshot) ([]int64, error) {
	places := make(map[string]int)
	var buckets []string
	args := []any{token, keep.Milliseconds()}
	for _, u := range users {
		under := c.under[k][u]
		args = append(args, u, c.counts[k][u], len(under))
		for _, p := range under {
			name := p.origin.bucket(k)
			place := places[name]
			if place == 0 {
				buckets = append(buckets, name)
				place = keyCount + len(buckets)
				places[name] = place
			}
			args = append(args, place, p.origin.mark(u), p.delta, p.origin.at, p.origin.expiry())
		}
	}
	found, err := repairScript.Run(ctx, l.rdb, keys(k, buckets...), args...).Slice()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, errWindow
	case err != nil:
		return nil, fmt.Errorf("repair counts of %s: %w", k, err)
	}
	var repaired []int64
	for i := 0; i+1 < len(found); i += 2 {
		if found[i+1] != int64(1) {
			continue
		}
		text, _ := found[i].(string)
		user, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("repair counts of %s: %w", k, err)
		}
		repaired = append(repaired, user)
	}
	return repaired, nil
}

// remove drops members that are no users, and returns how many had counts.
func (l redisCounts) remove(ctx context.Context, k Kind, members []string) (int64, error) {
	removed, err := removeScript.Run(ctx, l.rdb, keys(k), asAny(members)...).Int64()
	if err != nil {
		return 0, fmt.Errorf("remove counts of %s: %w", k, err)
	}
	return removed, nil
}

func asAny(list []string) []any {
	all := make([]any, len(list))
	for i, s := range list {
		all[i] = s
	}
	return all
}
