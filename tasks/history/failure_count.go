package history

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/paidui/paidui/models/errorgroup"
	"github.com/paidui/paidui/tasks"
)

const (
	// OtherErrors is the group of failures that are of more kinds than are counted apart. No task is found by it.
	OtherErrors = "0000000000000000"
	otherErrors = "errors of more kinds than are counted apart"
	// maxCounts bounds the rows of one span of time, but for those of OtherErrors: and so what a look at failures costs.
	maxCounts = 300
	// countedFor is for how long counts are kept: what the longest window shows, and a day for clocks and late records.
	countedFor = 8 * 24 * time.Hour
)

// The spans in which failures are counted, in minutes: one for each kind of window.
const (
	shortSpan = 10
	longSpan  = 60
)

// groupOf is the group of a record's error. What is encrypted is one group: a normal form would tell what it hides.
func groupOf(text string) (id, normal string) {
	if tasks.IsEncrypted(text) {
		text = "an encrypted error"
	}
	return errorgroup.Of(text)
}

// failure is a row of a task in FAILURE, with the group of its error.
type failure struct {
	*row
	group, normal string
}

// countFailures keeps the groups of those of the rows that are of failed tasks, and counts the failures that are new. The rows
// are written, in the same transaction: so no other one counts failures of the same tasks meanwhile, and each run's failure is
// counted once, however often and by however many processes its record is written.
func (t *table) countFailures(ctx context.Context, tx *session, rows []*row) error {
	var failed []failure
	for _, r := range rows {
		if r.state == string(tasks.StateFailure) {
			group, normal := groupOf(r.err)
			failed = append(failed, failure{r, group, normal})
		}
	}
	if len(failed) == 0 {
		return nil
	}
	fresh, err := newFailures(ctx, tx, failed)
	if err != nil || len(fresh) == 0 {
		return err
	}
	for part := range slices.Chunk(fresh, lookUpRows) {
		params := make([]any, 0, 4*len(part))
		for _, f := range part {
			params = append(params, f.id, f.group, f.run, f.at)
		}
		statement := "INSERT INTO paidui_task_failures (task_id, error_group, run, created_at) VALUES " + tuples(len(part), 4) + tx.dialect.onConflict
		for i, column := range []string{"error_group", "run", "created_at"} {
			if i > 0 {
				statement += ", "
			}
			statement += column + " = " + tx.dialect.coming(column)
		}
		if _, err := tx.conn.ExecContext(ctx, statement, params...); err != nil {
			return err
		}
	}
	now := time.Now()
	for _, span := range []int{shortSpan, longSpan} {
		if err := addCounts(ctx, tx, span, fresh, now); err != nil {
			return err
		}
	}
	return nil
}

// newFailures leaves out those that are known, and those of tasks that had the id before.
func newFailures(ctx context.Context, tx *session, failed []failure) ([]failure, error) {
	type last struct {
		run int
		at  time.Time
	}
	stored := make(map[string]last)
	for part := range slices.Chunk(failed, lookUpRows) {
		ids := make([]any, len(part))
		for i, f := range part {
			ids[i] = f.id
		}
		err := query(ctx, tx.conn, "SELECT task_id, run, created_at FROM paidui_task_failures WHERE task_id IN ("+marks(len(ids))+")", ids,
			func(scan func(...any) error) error {
				var id string
				var l last
				err := scan(&id, &l.run, &l.at)
				stored[id] = l
				return err
			})
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(failed, func(f failure) bool {
		l, known := stored[f.id]
		return known && (f.at.Before(l.at) || f.at.Equal(l.at) && f.run <= l.run)
	}), nil
}

// countKey is the key of a row of counts within its span.
type countKey struct {
	at                          int64 // Unix time
	group, task, queue, version string
}

func (k countKey) compare(other countKey) int {
	return cmp.Or(cmp.Compare(k.at, other.at), strings.Compare(k.group, other.group), strings.Compare(k.task, other.task),
		strings.Compare(k.queue, other.queue), strings.Compare(k.version, other.version))
}

// counted is what is added to a row of counts.
type counted struct {
	failures        int64
	first, last     int64 // Unix microseconds
	example, normal string
}

// addCounts adds failures to the counts of the spans in which they ended.
func addCounts(ctx context.Context, tx *session, span int, fresh []failure, now time.Time) error {
	counts := make(map[countKey]*counted)
	known := make(map[int64]map[countKey]bool) // by span
	for _, f := range fresh {
		ended := f.ended
		if ended.IsZero() {
			ended = now
		}
		if now.Sub(ended) > countedFor {
			continue
		}
		us := ended.UnixMicro()
		key := countKey{startOf(ended, span).Unix(), f.group, f.task, f.queue, f.build}
		there, looked := known[key.at]
		if !looked {
			var err error
			if there, err = countKeys(ctx, tx, span, key.at); err != nil {
				return err
			}
			known[key.at] = there
		}
		normal := f.normal
		if !there[key] && len(there) >= maxCounts {
			key.group, key.task, key.queue, key.version = OtherErrors, "", "", ""
			normal = otherErrors
		}
		there[key] = true
		c := counts[key]
		if c == nil {
			c = &counted{first: us, last: us, example: f.id, normal: normal}
			counts[key] = c
		}
		c.failures++
		c.first = min(c.first, us)
		if us >= c.last {
			c.last, c.example = us, f.id
		}
	}
	keys := make([]countKey, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, countKey.compare) // in one order, as rows are: see put
	for part := range slices.Chunk(keys, lookUpRows) {
		params := make([]any, 0, 11*len(part))
		for _, k := range part {
			c := counts[k]
			params = append(params, span, time.Unix(k.at, 0).UTC(), k.group, k.task, k.queue, k.version, c.failures, c.first, c.last, c.example, c.normal)
		}
		if _, err := tx.conn.ExecContext(ctx, countStatement(tx.dialect, len(part)), params...); err != nil {
			return err
		}
	}
	return nil
}

// countStatement adds to n rows of counts.
func countStatement(d dialect, n int) string {
	coming := d.coming
	return "INSERT INTO paidui_failure_counts (span, at, error_group, task, queue, version, failures, first_us, last_us, example, error) VALUES " +
		tuples(n, 11) + d.countTaken +
		"failures = paidui_failure_counts.failures + " + coming("failures") +
		", first_us = CASE WHEN " + coming("first_us") + " < paidui_failure_counts.first_us THEN " + coming("first_us") + " ELSE paidui_failure_counts.first_us END" +
		", example = CASE WHEN " + coming("last_us") + " >= paidui_failure_counts.last_us THEN " + coming("example") + " ELSE paidui_failure_counts.example END" +
		", last_us = CASE WHEN " + coming("last_us") + " > paidui_failure_counts.last_us THEN " + coming("last_us") + " ELSE paidui_failure_counts.last_us END"
}

// countKeys are the keys that a span has, one more than maxCounts at most.
func countKeys(ctx context.Context, tx *session, span int, at int64) (map[countKey]bool, error) {
	there := make(map[countKey]bool)
	err := query(ctx, tx.conn, "SELECT error_group, task, queue, version FROM paidui_failure_counts WHERE span = ? AND at = ? LIMIT ?",
		[]any{span, time.Unix(at, 0).UTC(), maxCounts + 1},
		func(scan func(...any) error) error {
			k := countKey{at: at}
			err := scan(&k.group, &k.task, &k.queue, &k.version)
			there[k] = true
			return err
		})
	return there, err
}

// startOf is when the span began in which a time is.
func startOf(t time.Time, span int) time.Time {
	return t.UTC().Truncate(time.Duration(span) * time.Minute)
}

// tuples are n rows of parameters' places.
func tuples(n, columns int) string {
	one := "(" + marks(columns) + ")"
	return strings.Repeat(one+", ", n-1) + one
}
