package history

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/paidui/paidui/models/errorgroup"
	"github.com/paidui/paidui/tasks"
)

// maxShares bounds the tasks and the versions that a group of failures lists, the most frequent first.
const maxShares = 20

// Windows are those of FailureQuery.
func Windows() []time.Duration { return []time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour} }

// FailureQuery is which failures to group. A field that is empty does not restrict.
type FailureQuery struct {
	Window time.Duration // one of Windows; 0 is a day
	Task   string
	Queue  string
	Limit  int    // groups of a page, 1 to MaxLimit; 0 is DefaultLimit
	Cursor string // FailurePage.Next of the same query, "" for the first page
}

// FailurePage is a part of the answer, the most frequent group first.
type FailurePage struct {
	// Since is when the window begins: at most ten minutes earlier than asked for, or an hour with a week, since failures are
	// counted by spans of that length.
	Since  time.Time
	Groups []FailureGroup
	Next   string // the cursor of the following page, "" after the last
}

// FailureGroup is what failed with errors of one kind. A task that was run again by hand and failed again counts twice.
type FailureGroup struct {
	ErrorGroup string // as Query.ErrorGroup; OtherErrors for what is of too many kinds
	Error      string // the normal form: see package errorgroup
	Count      int64
	First      time.Time // when the first of them ended in the window
	Last       time.Time
	Tasks      []FailureShare // by the tasks' names, the 20 most frequent
	Versions   []FailureShare // by the version of the worker's program; "" where it is not known
	Example    *tasks.Info    // the last of them, as Search shows it; nil when its record is gone
}

// FailureShare is a part of a group.
type FailureShare struct {
	Name  string
	Count int64
}

func (q *FailureQuery) validate() error {
	q.Window = cmp.Or(q.Window, 24*time.Hour)
	switch {
	case !slices.Contains(Windows(), q.Window):
		return queryErrorf("window", "want 1h, 24h or 168h")
	case q.Task != "" && cut(q.Task, maxName) != q.Task:
		return queryErrorf("task", "want at most %d characters", maxName)
	case q.Queue != "" && !tasks.ValidQueue(q.Queue):
		return queryErrorf("queue", "want 1 to 64 letters, digits, '_' or '-', the first a letter or digit")
	case q.Limit < 0 || q.Limit > MaxLimit:
		return queryErrorf("limit", "want 1 to %d", MaxLimit)
	}
	q.Limit = cmp.Or(q.Limit, DefaultLimit)
	return nil
}

// rank is where a group stands in the order of the answers; the zero rank is before all.
type rank struct {
	count int64
	group string
}

func (q *FailureQuery) cursor(last rank) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(last.count))
	raw = append(raw, last.group...)
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(raw, q.sum(raw)))
}

func (q *FailureQuery) after() (rank, error) {
	if q.Cursor == "" {
		return rank{}, nil
	}
	const countBytes = 8
	wrong := queryErrorf("cursor", "is not one that this list gave")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(q.Cursor)
	if err != nil || len(raw) != countBytes+errorgroup.IDLength+sumBytes {
		return rank{}, wrong
	}
	body, sum := raw[:len(raw)-sumBytes], binary.BigEndian.Uint64(raw[len(raw)-sumBytes:])
	r := rank{int64(binary.BigEndian.Uint64(body)), string(body[countBytes:])}
	if sum != q.sum(body) || r.count <= 0 || !errorgroup.ValidID(r.group) {
		return rank{}, wrong
	}
	return r, nil
}

func (q *FailureQuery) sum(body []byte) uint64 {
	h := fnv.New64a()
	for _, part := range []string{"failures", q.Window.String(), q.Task, q.Queue, string(body)} {
		_, _ = h.Write(append([]byte(part), 0)) // a hash takes everything
	}
	return h.Sum64()
}

// Failures groups what has failed in a window that ends now by its normalised error, the most frequent group first. It returns a
// *QueryError for a query that makes no sense.
//
// Its cost is bounded, however many tasks have failed: failures are counted as their records are written, by spans of ten
// minutes and of an hour, and of a span there are 300 counts at most, so a page reads 50,000 of them in the worst case.
// When a group gets more failures between two pages, it may be on both, or on none.
func (s *Store) Failures(ctx context.Context, q FailureQuery) (*FailurePage, error) {
	if err := q.validate(); err != nil {
		return nil, err
	}
	after, err := q.after()
	if err != nil {
		return nil, err
	}
	span := shortSpan
	if q.Window > 24*time.Hour {
		span = longSpan
	}
	page := &FailurePage{Since: startOf(s.now().Add(-q.Window), span), Groups: []FailureGroup{}}
	where, params := "span = ? AND at >= ?", []any{span, page.Since}
	if q.Task != "" {
		where, params = where+" AND task = ?", append(params, q.Task)
	}
	if q.Queue != "" {
		where, params = where+" AND queue = ?", append(params, q.Queue)
	}
	ranks, err := s.failureRanks(ctx, where, params, after, q.Limit+1)
	if err != nil {
		return nil, fmt.Errorf("history: count failures: %w", err)
	}
	if len(ranks) > q.Limit {
		ranks = ranks[:q.Limit]
		page.Next = q.cursor(ranks[q.Limit-1])
	}
	if len(ranks) == 0 {
		return page, nil
	}
	if page.Groups, err = s.failureGroups(ctx, where, params, ranks); err != nil {
		return nil, fmt.Errorf("history: group failures: %w", err)
	}
	return page, nil
}

func (s *Store) failureRanks(ctx context.Context, where string, params []any, after rank, n int) (ranks []rank, err error) {
	statement := "SELECT error_group, SUM(failures) AS total FROM paidui_failure_counts WHERE " + where + " GROUP BY error_group"
	params = slices.Clone(params)
	if after != (rank{}) {
		statement += " HAVING SUM(failures) < ? OR SUM(failures) = ? AND error_group > ?"
		params = append(params, after.count, after.count, after.group)
	}
	err = query(ctx, s.table.pool, statement+" ORDER BY total DESC, error_group LIMIT ?", append(params, n), func(scan func(...any) error) error {
		var r rank
		err := scan(&r.group, &r.count)
		ranks = append(ranks, r)
		return err
	})
	return ranks, err
}

// failureGroups tells all of the groups.
func (s *Store) failureGroups(ctx context.Context, where string, params []any, ranks []rank) ([]FailureGroup, error) {
	groups := make([]FailureGroup, len(ranks))
	index := make(map[string]int, len(ranks))
	params = slices.Clone(params)
	for i, r := range ranks {
		groups[i].ErrorGroup = r.group
		index[r.group] = i
		params = append(params, r.group)
	}
	where += " AND error_group IN (" + marks(len(ranks)) + ")"
	last := make([]int64, len(groups))
	err := query(ctx, s.table.pool, "SELECT error_group, task, version, SUM(failures), MIN(first_us), MAX(last_us) FROM paidui_failure_counts WHERE "+
		where+" GROUP BY error_group, task, version", params, func(scan func(...any) error) error {
		var group, task, version string
		var n, first, end int64
		if err := scan(&group, &task, &version, &n, &first, &end); err != nil {
			return err
		}
		i := index[group]
		g := &groups[i]
		if at := time.UnixMicro(first).UTC(); g.First.IsZero() || at.Before(g.First) {
			g.First = at
		}
		last[i] = max(last[i], end)
		g.Count += n
		g.Tasks, g.Versions = addShare(g.Tasks, task, n), addShare(g.Versions, version, n)
		return nil
	})
	if err != nil {
		return nil, err
	}
	latest := make([]any, len(groups))
	for i := range groups {
		groups[i].Last = time.UnixMicro(last[i]).UTC()
		groups[i].Tasks, groups[i].Versions = mostFrequent(groups[i].Tasks), mostFrequent(groups[i].Versions)
		latest[i] = last[i]
	}
	examples := make([]string, len(groups))
	err = query(ctx, s.table.pool, "SELECT error_group, last_us, example, error FROM paidui_failure_counts WHERE "+where+
		" AND last_us IN ("+marks(len(latest))+")", append(params, latest...), func(scan func(...any) error) error {
		var group, example, text string
		var end int64
		if err := scan(&group, &end, &example, &text); err != nil {
			return err
		}
		if i := index[group]; end == last[i] {
			groups[i].Error, examples[i] = text, example
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return groups, s.addExamples(ctx, groups, examples)
}

func addShare(list []FailureShare, name string, n int64) []FailureShare {
	if i := slices.IndexFunc(list, func(s FailureShare) bool { return s.Name == name }); i >= 0 {
		list[i].Count += n
		return list
	}
	return append(list, FailureShare{name, n})
}

func mostFrequent(list []FailureShare) []FailureShare {
	slices.SortFunc(list, func(a, b FailureShare) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name))
	})
	return list[:min(len(list), maxShares)]
}

// addExamples reads the record of one task of each group.
func (s *Store) addExamples(ctx context.Context, groups []FailureGroup, ids []string) error {
	var places []place
	for _, id := range ids {
		if id != "" && !slices.ContainsFunc(places, func(p place) bool { return p.id == id }) {
			places = append(places, place{id: id})
		}
	}
	records, err := s.records(ctx, places)
	if err != nil {
		return err
	}
	for _, r := range records {
		for i, id := range ids {
			if id == r.TaskID {
				groups[i].Example = s.info(r)
			}
		}
	}
	return nil
}
