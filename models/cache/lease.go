package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paidui/paidui/models/redisx"
)

const (
	leaseFor  = 10 * time.Second // longer than a load may take, so that nobody loads beside it
	markerFor = time.Minute      // how long a change that was applied is known to be

	// channel is where the names and ids of values that changed are published, as "<name> <id>".
	channel = "paidui:cache"
)

// entry is one value's place in Redis.
type entry struct {
	key     string // of the value
	message string // says that it changed
}

// prefix is the beginning of the keys that go with the value's; they share its cluster slot.
func (e entry) prefix() string { return "paidui:cache:{" + e.key + "}:" }

// last is the key of the last known value.
func (e entry) last() string { return e.prefix() + "last" }

// lease is the key of the token of whoever may fill.
func (e entry) lease() string { return e.prefix() + "lease" }

// keys are those of the scripts. The last of them, where there is a task, is the marker of a change that was applied.
func (e entry) keys(task string) []string {
	keys := []string{e.key, e.lease(), e.last()}
	if task != "" {
		keys = append(keys, e.prefix()+"done:"+task)
	}
	return keys
}

// lookup is an answer of getOrLease: the value, or whether the token holds the lease.
type lookup struct {
	value raw
	mine  bool
	err   error
}

// getOrLease reads the values and takes the leases of those that are missing; the value bad[i] counts as missing, too. It
// returns an error when it got no answer at all; otherwise each lookup has its own.
//
// The script is sent once, with a new token: a copy of it that came late would bring the token back, and a late copy of
// the fill then an old value. All other scripts but takeOver's may be repeated.
func (s *Store) getOrLease(ctx context.Context, entries []entry, token string, bad []raw) ([]lookup, error) {
	calls := make([]*redisx.Call, len(entries))
	for i, e := range entries {
		calls[i] = &redisx.Call{Script: getOrLeaseScript, Once: true, Keys: e.keys(""), Args: []any{
			token, leaseFor.Milliseconds(), []byte(bad[i]),
		}}
	}
	err := s.runScripts(ctx, calls)
	if err != nil && !slices.ContainsFunc(calls, answered) {
		return nil, err
	}
	found := make([]lookup, len(calls))
	for i, c := range calls {
		switch v := c.Cmd.Val().(type) {
		case string:
			found[i].value = raw(v)
		case int64:
			found[i].mine = v == 1
		default:
			found[i].err = fmt.Errorf("looking for %s: %w", entries[i].key, c.Cmd.Err())
			if !answered(c) {
				found[i].err = err
			}
		}
	}
	return found, nil
}

// filling is one value to store.
type filling struct {
	entry  entry
	value  raw
	expiry time.Duration
	stale  time.Duration // how long it may be served beyond its expiry
}

// fill stores the values whose leases the token holds, and tells which. With publish the other processes are told.
func (s *Store) fill(ctx context.Context, task, token string, values []filling, publish bool) ([]bool, error) {
	calls := make([]*redisx.Call, len(values))
	for i, v := range values {
		last, message := int64(0), ""
		if v.stale > 0 {
			last = (v.expiry + v.stale).Milliseconds()
		}
		if publish {
			message = v.entry.message
		}
		calls[i] = &redisx.Call{Script: fillScript, Keys: v.entry.keys(task), Args: []any{
			token, []byte(v.value), v.expiry.Milliseconds(), last, markerFor.Milliseconds(), channel, message,
		}}
	}
	return s.runBools(ctx, "filling", calls)
}

// takeOver takes the leases, whoever holds them, and with drop deletes the values. It tells which changes of the task have
// not been applied before.
func (s *Store) takeOver(ctx context.Context, task, token string, entries []entry, drop bool, stale time.Duration) ([]bool, error) {
	calls := make([]*redisx.Call, len(entries))
	for i, e := range entries {
		calls[i] = &redisx.Call{Script: takeOverScript, Once: true, Keys: e.keys(task), Args: []any{
			token, leaseFor.Milliseconds(), flag(drop), stale.Milliseconds(), channel, e.message,
		}}
	}
	return s.runBools(ctx, "taking over the lease of", calls)
}

// invalidate deletes values and leases. It tells which changes of the task have not been applied before.
func (s *Store) invalidate(ctx context.Context, task string, entries []entry, stale time.Duration) ([]bool, error) {
	calls := make([]*redisx.Call, len(entries))
	for i, e := range entries {
		calls[i] = &redisx.Call{Script: invalidateScript, Keys: e.keys(task), Args: []any{
			stale.Milliseconds(), markerFor.Milliseconds(), channel, e.message,
		}}
	}
	return s.runBools(ctx, "invalidating", calls)
}

// release gives leases up, so that others may load at once.
func (s *Store) release(ctx context.Context, token string, entries []entry) error {
	calls := make([]*redisx.Call, len(entries))
	for i, e := range entries {
		calls[i] = &redisx.Call{Script: redisx.ReleaseLease, Keys: []string{e.lease()}, Args: []any{token}}
	}
	_, err := s.runBools(ctx, "releasing", calls)
	return err
}

// runBools runs scripts that answer 1 or 0. Beside an error it tells which of them did answer 1.
func (s *Store) runBools(ctx context.Context, doing string, calls []*redisx.Call) ([]bool, error) {
	err := s.runScripts(ctx, calls)
	answers := make([]bool, len(calls))
	errs := []error{err}
	for i, c := range calls {
		if c.Cmd == nil {
			continue // was not sent
		}
		n, one := c.Cmd.Int64()
		answers[i] = one == nil && n == 1
		if one != nil && err == nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", doing, c.Keys[0], one))
		}
	}
	return answers, errors.Join(errs...)
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
