package counter

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"time"
)

// window is one comparison of some users, of all kinds.
type window struct {
	token    string
	opened   []Kind
	repaired map[Kind]int
	removed  map[Kind]int
}

// take adds what a window has done.
func (r *Result) take(w window) {
	for _, k := range Kinds() {
		r.Repaired.add(k, w.repaired[k])
		r.Removed.add(k, w.removed[k])
	}
}

const closePatience = 3 * time.Second

// compare opens the window, repairs and closes it. It returns the users who were noted, each once.
func (w *window) compare(ctx context.Context, r *reconciler, run string, s scope) (noted []int64, err error) {
	w.token, w.repaired, w.removed = rand.Text(), make(map[Kind]int), make(map[Kind]int)
	defer func() {
		if err != nil {
			w.abandon(ctx, r)
		}
	}()
	for _, k := range Kinds() {
		if err := w.open(ctx, r, k, run, s); err != nil {
			return nil, err
		}
	}
	c, err := w.snapshot(ctx, r, s)
	if err != nil {
		return nil, err
	}
	touched := make(map[int64]bool)
	for _, k := range Kinds() {
		repaired, err := w.repair(ctx, r, k, c)
		for _, u := range repaired {
			touched[u] = true
		}
		if err == nil {
			err = w.removeMissing(ctx, r, k, s, c)
		}
		if err != nil {
			return nil, errors.Join(err, r.invalidate(ctx, touched))
		}
	}
	if err := r.invalidate(ctx, touched); err != nil {
		return nil, err
	}
	seen := make(map[int64]bool)
	for len(w.opened) > 0 {
		users, err := r.redisCounts.close(ctx, w.opened[0], w.token)
		if err != nil {
			return nil, err
		}
		w.opened = w.opened[1:]
		for _, u := range users {
			if !seen[u] {
				seen[u] = true
				noted = append(noted, u)
			}
		}
	}
	return noted, nil
}

// open waits while another reconciler has a window on the kind.
func (w *window) open(ctx context.Context, r *reconciler, k Kind, run string, s scope) error {
	for {
		err := r.redisCounts.open(ctx, k, w.token, run, s)
		if !errors.Is(err, errBusy) {
			if err == nil {
				w.opened = append(w.opened, k)
			}
			return err
		}
		timer := time.NewTimer(r.poll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(err, context.Cause(ctx))
		case <-timer.C:
		}
	}
}

// abandon closes what is open after an error, so that nobody has to wait until it expires.
func (w *window) abandon(ctx context.Context, r *reconciler) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	for _, k := range w.opened {
		_, _ = r.redisCounts.close(ctx, k, w.token) // else it expires
	}
}

func (w *window) snapshot(ctx context.Context, r *reconciler, s scope) (*snapshot, error) {
	limit := rangeLimit
	if s.users != nil {
		limit = frozenLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return r.source.snapshot(ctx, s)
}

// repair compares a kind, and returns whose counts were others.
func (w *window) repair(ctx context.Context, r *reconciler, k Kind, c *snapshot) (repaired []int64, err error) {
	var list []int64
	for users := range slices.Chunk(c.users, r.sizes.check) {
		odd, err := r.redisCounts.doubtful(ctx, k, users, c.counts[k])
		if err != nil {
			return nil, err
		}
		list = append(list, odd...)
	}
	listed := make(map[int64]bool, len(list))
	for _, u := range list {
		listed[u] = true
	}
	for _, u := range c.users {
		if len(c.under[k][u]) > 0 && !listed[u] {
			list = append(list, u)
		}
	}
	for users := range slices.Chunk(list, r.sizes.repair) {
		some, err := r.redisCounts.repair(ctx, k, w.token, users, c)
		repaired = append(repaired, some...)
		w.repaired[k] += len(some)
		if err != nil {
			return repaired, err
		}
	}
	return repaired, nil
}

// removeMissing removes those of the listed who are no users.
func (w *window) removeMissing(ctx context.Context, r *reconciler, k Kind, s scope, c *snapshot) error {
	var gone []string
	for _, u := range s.users {
		if _, found := slices.BinarySearch(c.users, u); !found {
			gone = append(gone, strconv.FormatInt(u, 10))
		}
	}
	if len(gone) == 0 {
		return nil
	}
	removed, err := r.redisCounts.remove(ctx, k, gone)
	w.removed[k] += int(removed)
	return err
}
