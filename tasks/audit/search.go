package audit

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/paidui/paidui/models"
)

// The bounds of Query.Limit.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

const (
	lookBatch = 1000 // rows that are read at once, where some may not match
	lookMost  = 5000 // ... for one page
	maxWhats  = 200  // different acts of one search
)

// Query is what to search for. A field that is empty does not restrict.
type Query struct {
	Who     string
	What    string // how the act begins, as "POST /v1/queues"
	Subject string
	From    time.Time // when it began, at the earliest
	To      time.Time // ... and before
	Limit   int       // acts of a page, 1 to MaxLimit; 0 is DefaultLimit
	Cursor  string    // Page.Next of the same query, "" for the first page
}

// Page is a part of a search's answer, newest first. It may be short, or empty even, and not the last.
type Page struct {
	Acts []Act
	Next string // the cursor of the following page, "" after the last
}

// QueryError says what of a query makes no sense. Field is its name in lower case.
type QueryError struct {
	Field string
	Msg   string
}

func (e *QueryError) Error() string { return fmt.Sprintf("audit: %s: %s", e.Field, e.Msg) }

// ErrNotKept says that there is no database, and so no table to search.
var ErrNotKept = errors.New("audit: there is no database")

var (
	earliest = time.Unix(0, 0).UTC()
	latest   = time.Date(9998, 12, 31, 0, 0, 0, 0, time.UTC)
)

func (q *Query) validate() error {
	for _, text := range []struct {
		field, value string
		most         int
	}{{"who", q.Who, 128}, {"what", q.What, 255}, {"subject", q.Subject, maxSubject}} {
		if !utf8.ValidString(text.value) || utf8.RuneCountInString(text.value) > text.most {
			return &QueryError{text.field, fmt.Sprintf("want at most %d characters", text.most)}
		}
	}
	for field, at := range map[string]time.Time{"from": q.From, "to": q.To} {
		if !at.IsZero() && (at.Before(earliest) || at.After(latest)) {
			return &QueryError{field, "want a time from 1970 to 9998"}
		}
	}
	switch {
	case !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To):
		return &QueryError{"to", "is not after from"}
	case q.Limit < 0 || q.Limit > MaxLimit:
		return &QueryError{"limit", fmt.Sprintf("want 1 to %d", MaxLimit)}
	}
	q.Limit = cmp.Or(q.Limit, DefaultLimit)
	return nil
}

// place is where an act stands in the order of the answers; the zero place is before all.
type place struct {
	at time.Time
	id int64
}

func placeOf(r *models.AuditRecord) place { return place{r.At, r.ID} }

const cursorBytes = 24 // time, id, sum

// cursor names the last place of a page. It ends with a sum that binds it to its query.
func (q *Query) cursor(last place) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(last.at.UnixMicro()))
	raw = binary.BigEndian.AppendUint64(raw, uint64(last.id))
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(raw, q.sum(raw)))
}

func (q *Query) after() (place, error) {
	if q.Cursor == "" {
		return place{}, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(q.Cursor)
	if err != nil || len(raw) != cursorBytes || binary.BigEndian.Uint64(raw[16:]) != q.sum(raw[:16]) {
		return place{}, &QueryError{"cursor", "is not one that this search gave"}
	}
	p := place{time.UnixMicro(int64(binary.BigEndian.Uint64(raw))).UTC(), int64(binary.BigEndian.Uint64(raw[8:]))}
	if p.at.Before(earliest) || p.at.After(latest) {
		return place{}, &QueryError{"cursor", "is not one that this search gave"}
	}
	return p, nil
}

func (q *Query) sum(body []byte) uint64 {
	h := fnv.New64a()
	for _, part := range []string{q.Who, q.What, q.Subject, q.From.UTC().Format(time.RFC3339Nano), q.To.UTC().Format(time.RFC3339Nano), string(body)} {
		_, _ = h.Write(append([]byte(part), 0)) // a hash takes everything
	}
	return h.Sum64()
}

// matches reports whether the query wants the act, times aside.
func (q *Query) matches(r *models.AuditRecord) bool {
	return (q.Who == "" || q.Who == r.Who) && (q.Subject == "" || q.Subject == r.Subject) && strings.HasPrefix(r.What, q.What)
}

// Search answers one page. It returns a *QueryError for a query that makes no sense, and ErrNotKept without a database.
//
// Its cost does not grow with the table. One index holds the acts of a subject, of a person, or of a kind, in the order of the
// answer. With one of these filters the page is read from it; where the filter on what allows several kinds, from each of them.
// With several filters, acts are read from the index of the subject, or else of the person, and those that do not match are
// left out; a page ends after 5,000 acts that were looked at, and the cursor goes on there.
func (l *Log) Search(ctx context.Context, q Query) (*Page, error) {
	if l.db == nil {
		return nil, ErrNotKept
	}
	if err := q.validate(); err != nil {
		return nil, err
	}
	after, err := q.after()
	if err != nil {
		return nil, err
	}
	var rows []*models.AuditRecord
	var more place
	if q.What != "" && q.Who == "" && q.Subject == "" {
		rows, more, err = l.byWhat(ctx, &q, after)
	} else {
		rows, more, err = l.byOne(ctx, &q, after)
	}
	if err != nil {
		return nil, err
	}
	page := &Page{Acts: make([]Act, len(rows))}
	for i, r := range rows {
		page.Acts[i] = actOf(r)
	}
	if more != (place{}) {
		page.Next = q.cursor(more)
	}
	return page, nil
}

func actOf(r *models.AuditRecord) Act {
	return Act{
		ID: r.ID, At: r.At, Who: r.Who, Role: r.Role, What: r.What, Subject: r.Subject, RequestID: r.RequestID, Address: r.Address,
		Status: r.Status, Code: r.Code, Message: r.Message, TaskID: r.TaskID, Took: time.Duration(r.Micros) * time.Microsecond,
	}
}

// byOne reads from the index of one column, and leaves out what does not match. more is the place to go on from.
func (l *Log) byOne(ctx context.Context, q *Query, after place) (found []*models.AuditRecord, more place, err error) {
	column, value := "at", ""
	filters := 0
	for _, f := range []struct{ column, value string }{{"who", q.Who}, {"subject", q.Subject}} {
		if f.value != "" {
			column, value = f.column, f.value
			filters++
		}
	}
	batch := q.Limit + 1
	if filters > 1 || q.What != "" {
		batch = lookBatch
	}
	for looked := 0; looked < lookMost; looked += batch {
		rows, err := l.read(ctx, q, column, value, after, batch)
		if err != nil {
			return nil, more, err
		}
		for _, r := range rows {
			if q.matches(r) {
				found = append(found, r)
			}
		}
		if len(found) > q.Limit {
			return found[:q.Limit], placeOf(found[q.Limit-1]), nil
		}
		if len(rows) < batch {
			return found, place{}, nil
		}
		after = placeOf(rows[len(rows)-1])
	}
	return found, after, nil
}

// byWhat merges what the index has of each kind of act.
func (l *Log) byWhat(ctx context.Context, q *Query, after place) (found []*models.AuditRecord, more place, err error) {
	whats, err := l.whats(ctx, q.What)
	if err != nil {
		return nil, more, err
	}
	for _, what := range whats {
		rows, err := l.read(ctx, q, "what", what, after, q.Limit+1)
		if err != nil {
			return nil, more, err
		}
		found = append(found, rows...)
	}
	slices.SortFunc(found, func(a, b *models.AuditRecord) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID))
	})
	if len(found) > q.Limit {
		return found[:q.Limit], placeOf(found[q.Limit-1]), nil
	}
	return found, place{}, nil
}

// whats lists the kinds of acts that begin so, with one dive into the index each.
func (l *Log) whats(ctx context.Context, prefix string) (list []string, err error) {
	last, comparison := prefix, ">="
	for {
		var next []string
		err := l.db.WithContext(ctx).Raw("SELECT what FROM paidui_audit_log "+l.hint("what")+" WHERE what "+comparison+" ? ORDER BY what LIMIT 1", last).
			Scan(&next).Error
		switch {
		case err != nil:
			return nil, fmt.Errorf("audit: list the kinds of acts: %w", err)
		case len(next) == 0 || !strings.HasPrefix(next[0], prefix):
			return list, nil
		case len(list) == maxWhats:
			return nil, &QueryError{"what", fmt.Sprintf("more than %d kinds of acts begin so: give more of it, or who or subject", maxWhats)}
		}
		list = append(list, next[0])
		last, comparison = next[0], ">"
	}
}

// hint names an index: statistics of a table that grows at one end mislead both databases.
func (l *Log) hint(column string) string {
	if l.db.Name() == "sqlite" {
		return "INDEXED BY idx_audit_log_" + column
	}
	return "FORCE INDEX (idx_audit_log_" + column + ")"
}

// read reads up to n rows after a place, newest first, which have the value in the column; of column "at" all.
func (l *Log) read(ctx context.Context, q *Query, column, value string, after place, n int) (rows []*models.AuditRecord, err error) {
	var conditions []string
	var params []any
	where := func(condition string, values ...any) {
		conditions, params = append(conditions, condition), append(params, values...)
	}
	if column != "at" {
		where(column+" = ?", value)
	}
	if !q.From.IsZero() {
		where("at >= ?", q.From.UTC())
	}
	if !q.To.IsZero() {
		where("at < ?", q.To.UTC())
	}
	if after != (place{}) {
		where("at <= ?", after.at)
		where("(at < ? OR id < ?)", after.at, after.id)
	}
	statement := "SELECT * FROM paidui_audit_log " + l.hint(column)
	if len(conditions) > 0 {
		statement += " WHERE " + strings.Join(conditions, " AND ")
	}
	statement += " ORDER BY at DESC, id DESC LIMIT ?"
	if err := l.db.WithContext(ctx).Raw(statement, append(params, n)...).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("audit: search: %w", err)
	}
	return rows, nil
}
