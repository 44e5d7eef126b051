package history

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// candidate is a place at which there may be a record that a query wants. Without a task its kind is not known yet.
type candidate struct {
	place
	kind
}

// source gives candidates in the order of the searches: the next n, fewer when these are the last.
type source interface {
	next(ctx context.Context, n int) ([]candidate, error)
}

// walk goes over the candidates of a query, and leaves out those that it does not want.
type walk struct {
	store *Store
	query *Query
	source
	reads bool  // records have to be read, to know which ones are wanted
	after place // the last place that it has come to
}

func (s *Store) newWalk(ctx context.Context, q *Query, after place) (*walk, error) {
	w := &walk{store: s, query: q, after: after, reads: true}
	switch {
	case q.ErrorGroup != "":
		w.source = &linked{s, byGroup, q.ErrorGroup, span{after, q}}
	case q.Tag != "":
		w.source = &linked{s, byTag, q.Tag, span{after, q}}
	default:
		kinds, err := s.wantedKinds(ctx, q)
		if err != nil {
			return nil, err
		}
		w.source, w.reads = newMerger(s, kinds, span{after, q}), len(q.text) > 0
	}
	return w, nil
}

// step looks at the next n candidates, and returns those that the query wants. size is about how many bytes it has read for it.
func (w *walk) step(ctx context.Context, n int) (wanted []candidate, looked, size int, err error) {
	list, err := w.next(ctx, n)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("history: search: %w", err)
	}
	if w.reads {
		wanted, size, err = w.store.matching(ctx, w.query, list)
	} else {
		wanted = list
	}
	if err == nil && len(list) > 0 {
		w.after = list[len(list)-1].place
	}
	return wanted, len(list), size, err
}

// linked is the source of what a tag or a group leads to.
type linked struct {
	store *Store
	link  link
	value string
	span  span
}

func (l *linked) next(ctx context.Context, n int) (list []candidate, err error) {
	statement, params := l.link.statement(l.value, l.span, n)
	err = query(ctx, l.store.table.pool, statement, params, func(scan func(...any) error) error {
		p, err := scanPlace(scan)
		list = append(list, candidate{place: p})
		return err
	})
	if len(list) > 0 {
		l.span.after = list[len(list)-1].place
	}
	return list, err
}

// merger is the source of records of some kinds: it reads some places of each, and more of those that it has used up.
type merger struct {
	store *Store
	query *Query
	heads []*head
}

// head is where a merger is in a kind.
type head struct {
	kind
	after  place
	places []place // that are read and not used
	ended  bool    // there are no more
}

func newMerger(s *Store, kinds []kind, in span) *merger {
	m := &merger{store: s, query: in.query}
	for _, k := range kinds {
		m.heads = append(m.heads, &head{kind: k, after: in.after})
	}
	return m
}

func (m *merger) next(ctx context.Context, n int) (list []candidate, err error) {
	for len(list) < n {
		if err := m.fill(ctx, n); err != nil {
			return nil, err
		}
		var first *head
		for _, h := range m.heads {
			if len(h.places) > 0 && (first == nil || h.places[0].compare(first.places[0]) < 0) {
				first = h
			}
		}
		if first == nil {
			return list, nil
		}
		list = append(list, candidate{first.places[0], first.kind})
		first.places = first.places[1:]
	}
	return list, nil
}

// leastRead is how many places of a kind are read at once, at least.
const leastRead = 20

// fill reads places of the kinds that have none.
func (m *merger) fill(ctx context.Context, n int) error {
	m.heads = slices.DeleteFunc(m.heads, func(h *head) bool { return h.ended && len(h.places) == 0 })
	var empty []*head
	for _, h := range m.heads {
		if len(h.places) == 0 {
			empty = append(empty, h)
		}
	}
	if len(empty) == 0 {
		return nil
	}
	each := max(leastRead, min(n, 2*n/len(empty)))
	for part := range slices.Chunk(empty, kindBatch) {
		var statements []string
		var params []any
		for i, h := range part {
			bounds, boundParams := span{h.after, m.query}.conditions()
			statements = append(statements, fmt.Sprintf("SELECT * FROM (SELECT %d AS head, created_at, task_id FROM paidui_task_records %s"+
				" WHERE task = ? AND queue = ? AND state = ?%s ORDER BY created_at DESC, task_id DESC LIMIT ?) k", i, m.store.table.dialect.kindIndex, bounds))
			params = append(params, h.task, h.queue, h.state)
			params = append(append(params, boundParams...), each)
		}
		err := query(ctx, m.store.table.pool, strings.Join(statements, " UNION ALL "), params, func(scan func(...any) error) error {
			var at int
			var p place
			if err := scan(&at, &p.at, &p.id); err != nil {
				return err
			}
			p.at = p.at.UTC()
			part[at].places = append(part[at].places, p)
			return nil
		})
		if err != nil {
			return err
		}
		for _, h := range part {
			slices.SortFunc(h.places, place.compare)
			h.ended = len(h.places) < each
			if len(h.places) > 0 {
				h.after = h.places[len(h.places)-1]
			}
		}
	}
	return nil
}

// wantedKinds are those of the records that the query may want. Too many are a *QueryError.
func (s *Store) wantedKinds(ctx context.Context, q *Query) ([]kind, error) {
	all, err := s.kinds(ctx, q.Task)
	if err != nil {
		return nil, fmt.Errorf("history: list kinds of tasks: %w", err)
	}
	kinds := slices.DeleteFunc(all, func(k kind) bool { return !q.allows(k) })
	if len(kinds) > maxKinds {
		return nil, queryErrorf("task", "the search spans %d combinations of task, queue and state, more than %d: name one or two of them", len(kinds), maxKinds)
	}
	return kinds, nil
}

// matching are those of the candidates at which there is a record that the query wants. size is about how many bytes were read.
func (s *Store) matching(ctx context.Context, q *Query, list []candidate) (wanted []candidate, size int, err error) {
	if len(list) == 0 {
		return nil, 0, nil
	}
	columns := []string{"task_id", "created_at", "task", "queue", "state"}
	if q.Tag != "" {
		columns = append(columns, "tags")
	}
	if q.ErrorGroup != "" || len(q.text) > 0 {
		columns = append(columns, "error")
	}
	if len(q.text) > 0 {
		columns = append(columns, fmt.Sprintf("SUBSTR(args, 1, %d) AS args", searchedJSON), fmt.Sprintf("SUBSTR(result, 1, %d) AS result", searchedJSON))
	}
	kinds := make(map[string]candidate, len(list))
	for part := range slices.Chunk(list, lookUpRows) {
		ids := make([]any, len(part))
		for i, c := range part {
			ids[i] = c.id
		}
		err := query(ctx, s.table.pool, "SELECT "+strings.Join(columns, ", ")+" FROM paidui_task_records WHERE task_id IN ("+marks(len(ids))+")", ids,
			func(scan func(...any) error) error {
				var r models.TaskRecord
				fields := []any{&r.TaskID, &r.CreatedAt, &r.Task, &r.Queue, &r.State}
				if q.Tag != "" {
					fields = append(fields, &r.Tags)
				}
				if q.ErrorGroup != "" || len(q.text) > 0 {
					fields = append(fields, &r.Error)
				}
				if len(q.text) > 0 {
					fields = append(fields, &r.Args, &r.Result)
				}
				if err := scan(fields...); err != nil {
					return err
				}
				size += len(r.Args) + len(r.Result) + len(r.Error)
				if q.allows(kind{r.Task, r.Queue, r.State}) && q.wantsText(&r) {
					kinds[r.TaskID] = candidate{place{r.CreatedAt.UTC(), r.TaskID}, kind{r.Task, r.Queue, r.State}}
				}
				return nil
			})
		if err != nil {
			return nil, size, fmt.Errorf("history: search: %w", err)
		}
	}
	for _, c := range list {
		if r, ok := kinds[c.id]; ok && r.at.Equal(c.at) { // else a tag of an earlier task with the id
			wanted = append(wanted, r)
		}
	}
	return wanted, size, nil
}

// wantsText tells whether the query wants a record by its tags, its error and its words. Of a record that has no tags it can't
// tell when they were not read.
func (q *Query) wantsText(r *models.TaskRecord) bool {
	if q.Tag != "" && !slices.Contains(tagsOf(r), q.Tag) {
		return false
	}
	if q.ErrorGroup != "" {
		if group, _ := groupOf(r.Error); r.State != string(tasks.StateFailure) || group != q.ErrorGroup {
			return false
		}
	}
	return len(q.text) == 0 || q.text.matches(r)
}

const (
	lookBatch = 500      // records of a walk that are looked at at once, where some may not match
	lookMost  = 5000     // ... for one page
	lookBytes = 32 << 20 // of arguments, results and errors, for one page
)

// byWalk finds the places of a page by looking at records one by one, and the place at which the next page begins if there is more.
func (s *Store) byWalk(ctx context.Context, q *Query, after place) (places []place, more place, err error) {
	w, err := s.newWalk(ctx, q, after)
	if err != nil {
		return nil, more, err
	}
	batch := q.Limit + 1
	if q.narrow() {
		batch = lookBatch
	}
	for looked, read := 0, 0; looked < lookMost && read < lookBytes; looked += batch {
		wanted, n, size, err := w.step(ctx, batch)
		if err != nil {
			return nil, more, err
		}
		read += size
		for _, c := range wanted {
			places = append(places, c.place)
		}
		switch {
		case len(places) > q.Limit:
			places = places[:q.Limit]
			return places, places[q.Limit-1], nil
		case n < batch:
			return places, place{}, nil
		}
	}
	return places, w.after, nil
}

// Found is a task that a Walk comes to, as the history has it.
type Found struct {
	ID, Task, Queue string
	State           tasks.State
}

// Walk goes over all tasks of a query, newest first, in steps. It is for one goroutine.
type Walk struct {
	walk *walk
	read int
}

// Walk begins behind the query's cursor, which is an earlier Walk's. Of the query's tasks it comes to those in the states alone,
// where some are given; its Limit means nothing. It returns a *QueryError for a query that makes no sense. Tasks that change their
// state meanwhile may be left out.
func (s *Store) Walk(ctx context.Context, q Query, states ...tasks.State) (*Walk, error) {
	if err := q.validate(); err != nil {
		return nil, err
	}
	q.states = states
	after, err := q.after()
	if err != nil {
		return nil, err
	}
	if _, err := s.convertBefore(ctx, endOfTime); err != nil {
		s.logger.WarnContext(ctx, "records of earlier builds can't be converted now", "error", err)
	}
	w, err := s.newWalk(ctx, &q, after)
	if err != nil {
		return nil, err
	}
	return &Walk{walk: w}, nil
}

// Next looks at the next n records, and returns those that the query wants; fewer were looked at only when these are the last.
func (w *Walk) Next(ctx context.Context, n int) (found []Found, looked int, err error) {
	wanted, looked, size, err := w.walk.step(ctx, n)
	w.read += size
	for _, c := range wanted {
		found = append(found, Found{c.id, c.task, c.queue, tasks.State(c.state)})
	}
	return found, looked, err
}

// Read is how many bytes of arguments, results and errors were read.
func (w *Walk) Read() int { return w.read }

// Cursor is where the walk is: the query's cursor with which another one goes on there.
func (w *Walk) Cursor() string {
	if w.walk.after.id == "" {
		return ""
	}
	return w.walk.query.cursor(w.walk.after)
}

// Recall are tasks of a page, in the order of their ids in the list, as Search shows them.
func (s *Store) Recall(ctx context.Context, list []Found) ([]*tasks.Info, error) {
	places := make([]place, len(list))
	for i, f := range list {
		places[i].id = f.ID
	}
	records, err := s.records(ctx, places)
	if err != nil {
		return nil, err
	}
	infos := make([]*tasks.Info, len(records))
	for i, r := range records {
		infos[i] = s.info(r)
	}
	return infos, nil
}
