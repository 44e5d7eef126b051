package following

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"
)

// check compares one list with its rows.
func (r *reconciler) check(ctx context.Context, l list) error {
	got, err := r.run(ctx, peekScript, l.keys())
	if err != nil {
		return err
	}
	if dropped, ok := got.(int64); ok {
		r.done.Repaired += int(dropped)
		return nil
	}
	part, err := parsePart(got)
	if err != nil {
		return r.drop(ctx, l)
	}
	r.done.Lists++
	if ours, err := r.checkCached(ctx, l); err != nil || !ours {
		return err
	}
	return r.checkRows(ctx, l, part)
}

// drop drops a list, to be loaded when it is asked for.
func (r *reconciler) drop(ctx context.Context, l list) error {
	dropped, err := r.runBool(ctx, dropScript, l.keys())
	if dropped {
		r.done.Repaired++
	}
	return err
}

// checkCached looks for entries in Redis that have no such row. It drops a list that holds anything but entries, and tells
// that it is not ours.
func (r *reconciler) checkCached(ctx context.Context, l list) (ours bool, err error) {
	for cursor, first := uint64(0), true; first || cursor != 0; first = false {
		var values []string
		err = r.store.Use(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
			values, cursor, err = rdb.ZScan(ctx, l.key(), cursor, "", compareBatch).Result()
			return err
		})
		if err != nil {
			return false, err
		}
		entries := make([]Entry, 0, len(values)/2)
		for pair := range slices.Chunk(values, 2) {
			e, err := parseEntry(pair[0], pair[1])
			if err != nil {
				return false, r.drop(ctx, l)
			}
			entries = append(entries, e)
		}
		for batch := range slices.Chunk(entries, compareBatch) { // Redis gives a short list as a whole
			if err := r.compare(ctx, l, batch); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// compare renews those entries that have no such row.
func (r *reconciler) compare(ctx context.Context, l list, entries []Entry) error {
	rows, err := r.rows.some(ctx, int64(l), targetsOf(entries))
	if err != nil {
		return err
	}
	wrong := slices.Clone(entries)
	wrong = slices.DeleteFunc(wrong, func(e Entry) bool {
		row, ok := rows[e.Target]
		return ok && row.At.Equal(e.At)
	})
	r.done.Checked += len(entries)
	return r.repair(ctx, l, wrong)
}

// checkRows looks for rows that belong into the list and are not there. A list that is said to be a part, and has all
// rows, is dropped.
func (r *reconciler) checkRows(ctx context.Context, l list, part partOf) error {
	var at place
	for {
		var rows []Entry
		var err error
		if rows, at, err = r.rows.newest(ctx, int64(l), at, compareBatch); err != nil {
			return err
		}
		within := rows
		if part.state == "more" {
			oldest := part.entries[0]
			within = slices.DeleteFunc(slices.Clone(rows), oldest.before)
		}
		if err := r.seek(ctx, l, within); err != nil {
			return err
		}
		switch {
		case len(within) < len(rows):
			return nil
		case len(rows) == compareBatch:
		case part.state == "more":
			return r.drop(ctx, l)
		default:
			return nil
		}
	}
}

// seek renews those rows that are not in Redis.
func (r *reconciler) seek(ctx context.Context, l list, rows []Entry) error {
	if len(rows) == 0 {
		return nil
	}
	query := []any{"ZMSCORE", l.key()}
	for _, e := range rows {
		query = append(query, e.member())
	}
	var scores []any
	err := r.store.Use(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
		scores, err = rdb.Do(ctx, query...).Slice()
		return err
	})
	if err != nil {
		return err
	}
	var missing []Entry
	for i, score := range scores {
		if score == nil {
			missing = append(missing, rows[i])
		}
	}
	return r.repair(ctx, l, missing)
}

func (r *reconciler) repair(ctx context.Context, l list, wrong []Entry) error {
	for batch := range slices.Chunk(wrong, applyBatch) {
		changed, err := r.renew(ctx, l, targetsOf(batch))
		r.done.Repaired += changed
		if err != nil && !errors.Is(err, errContended) { // those who change entries make them true
			return err
		}
	}
	return nil
}

func targetsOf(entries []Entry) []int64 {
	targets := make([]int64, len(entries))
	for i, e := range entries {
		targets[i] = e.Target
	}
	return targets
}
