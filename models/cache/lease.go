package cache

import (
	"context"
	"crypto/rand"
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

// own is how the keys that go with the value's begin; they share its cluster slot.
func (e entry) own() string { return "paidui:cache:{" + e.key + "}:" }

// last is the key of the last known value.
func (e entry) last() string { return e.own() + "last" }

// keys are those of the scripts.
func (e entry) keys(task string) []string {
	own := e.own()
	keys := []string{e.key, own + "lease", e.last()}
	if task != "" {
		keys = append(keys, own+"done:"+task)
	}
	return keys
}

// looked is what look found: a value, or a lease, or that another has the lease.
type looked struct {
	value raw
	mine  bool
	err   error
}

// look reads the values and takes the leases of those that are missing; bad[i] counts as missing, too. An error is one for
// all of them.
func (s *Store) look(ctx context.Context, entries []entry, token string, bad []raw) ([]looked, error) {
	calls := make([]*redisx.Call, len(entries))
	for i, e := range entries {
		calls[i] = &redisx.Call{Script: lookScript, Once: true, Keys: e.keys(""), Args: []any{
			token, leaseFor.Milliseconds(), []byte(bad[i]),
		}}
	}
	err := s.runScripts(ctx, calls)
	if err != nil && !slices.ContainsFunc(calls, answered) {
		return nil, err
	}
	found := make([]looked, len(calls))
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

// filling is one value on its way to Redis.
type filling struct {
	entry  entry
	value  raw
	expiry time.Duration
	stale  time.Duration // how long it may be served beyond its expiry
}

// fill stores the values whose leases the token holds, and tells which. With publish the world is told.
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

// seize takes the leases, whoever holds them, and with drop takes the values away. It tells which changes of the task
// have not been applied before.
func (s *Store) seize(ctx context.Context, task, token string, entries []entry, drop bool, stale time.Duration) ([]bool, error) {
	calls := make([]*redisx.Call, len(entries))
	for i, e := range entries {
		calls[i] = &redisx.Call{Script: seizeScript, Once: true, Keys: e.keys(task), Args: []any{
			token, leaseFor.Milliseconds(), flag(drop), stale.Milliseconds(), channel, e.message,
		}}
	}
	return s.runBools(ctx, "seizing", calls)
}

// void takes values and leases away. It tells which changes of the task have not been applied before.
func (s *Store) void(ctx context.Context, task string, entries []entry, stale time.Duration) ([]bool, error) {
	calls := make([]*redisx.Call, len(entries))
	for i, e := range entries {
		calls[i] = &redisx.Call{Script: voidScript, Keys: e.keys(task), Args: []any{
			stale.Milliseconds(), markerFor.Milliseconds(), channel, e.message,
		}}
	}
	return s.runBools(ctx, "voiding", calls)
}

// release gives leases up, for others to load at once.
func (s *Store) release(ctx context.Context, token string, entries []entry) error {
	calls := make([]*redisx.Call, len(entries))
	for i, e := range entries {
		calls[i] = &redisx.Call{Script: releaseScript, Keys: e.keys(""), Args: []any{token}}
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

// newToken is for one time that leases are asked for. That is asked once: a copy of the question that comes late would
// bring the token back, and a late copy of its fill then an old value. All else may be repeated.
func newToken() string { return rand.Text() }
