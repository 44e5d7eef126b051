package history

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
)

// Store finds records. It is safe for concurrent use.
type Store struct {
	db         *gorm.DB
	tasks      *tasks.Client // decrypts
	table      *table
	infos      func(context.Context, []broker.Ref) ([]*tasks.Info, error) // where tasks stand; nil for those that Redis does not know
	now        func() time.Time
	unreadable sync.Map // ids of bundles that can't be read, which the log has told of

	logger *slog.Logger
}

// NewStore reads the history in db, and asks client where the tasks stand that have not ended.
func NewStore(db *gorm.DB, client *tasks.Client) (*Store, error) {
	t, err := newTable(db)
	if err != nil {
		return nil, err
	}
	return &Store{db: db, tasks: client, table: t, infos: client.Infos, now: time.Now, logger: slog.Default()}, nil
}

// Page is a part of a search's answer, newest first.
type Page struct {
	// Tasks are what is known of each. Arguments and results of more than 4 KiB are left out: Find has them.
	Tasks []*tasks.Info
	// Next is the cursor of the following page, "" after the last. A page may be short, or empty even, and not the last.
	Next string
}

// inPage is how many bytes of arguments, or of a result, a page shows.
const inPage = 4 << 10

// Search answers one page. It returns a *QueryError for a query that makes no sense.
//
// A record that says that its task runs, or that has not ended and is older than a minute, is shown as Redis has the task; if
// Redis has forgotten an older one, as LOST. What was learned so is written back, if the database takes it now, and a record that no longer matches is left out.
// With Redis away, records are shown as they are.
func (s *Store) Search(ctx context.Context, q Query) (*Page, error) {
	if err := q.validate(); err != nil {
		return nil, err
	}
	after, err := q.after()
	if err != nil {
		return nil, err
	}
	newest := endOfTime
	for _, bound := range []time.Time{after.at, q.Until} {
		if !bound.IsZero() && bound.Before(newest) {
			newest = bound
		}
	}
	edge, err := s.convertBefore(ctx, newest)
	if err != nil { // some tasks that wait are missing then, and nothing else
		s.logger.WarnContext(ctx, "records of earlier builds can't be converted now", "error", err)
	}
	find := s.byKind
	if q.Tag != "" || q.ErrorGroup != "" || len(q.text) > 0 {
		find = s.byWalk
	}
	places, more, err := find(ctx, &q, after)
	if err != nil {
		return nil, err
	}
	if edge.id != "" && (after.id == "" || after.compare(edge) < 0) {
		n, _ := slices.BinarySearchFunc(places, edge, place.compare)
		if n < len(places) || more.id == "" { // what comes after may be in a bundle yet
			places, more = places[:n], edge
		}
	}
	page := &Page{Tasks: []*tasks.Info{}}
	if more.id != "" {
		page.Next = q.cursor(more)
	}
	records, err := s.records(ctx, places)
	if err != nil {
		return nil, err
	}
	s.settle(ctx, records)
	for _, r := range records {
		if q.matches(r) {
			shorten(&r.Args)
			shorten(&r.Result)
			page.Tasks = append(page.Tasks, s.info(r))
		}
	}
	return page, nil
}

// shorten leaves out what is too long for a page: settling may have read it from Redis.
func shorten(text *string) {
	if len(*text) > inPage {
		*text = ""
	}
}

func (q *Query) matches(r *models.TaskRecord) bool {
	return q.wants(kind{r.Task, r.Queue, r.State}) && (q.Tag == "" || slices.Contains(tagsOf(r), q.Tag)) &&
		(q.ErrorGroup == "" || r.State == string(tasks.StateFailure))
}

// byKind finds the places of a page, and the last of them if there are more.
func (s *Store) byKind(ctx context.Context, q *Query, after place) (places []place, more place, err error) {
	kinds, err := s.wantedKinds(ctx, q)
	if err != nil || len(kinds) == 0 {
		return nil, more, err
	}
	if places, err = s.newest(ctx, kinds, span{after, q}, q.Limit+1); err != nil {
		return nil, more, fmt.Errorf("history: search: %w", err)
	}
	if len(places) > q.Limit {
		places = places[:q.Limit]
		return places, places[q.Limit-1], nil
	}
	return places, more, nil
}

// records reads the records at the places, in their order. One that is gone is left out.
func (s *Store) records(ctx context.Context, places []place) ([]*models.TaskRecord, error) {
	if len(places) == 0 {
		return nil, nil
	}
	ids := make([]string, len(places))
	order := make(map[string]int, len(places))
	for i, p := range places {
		ids[i], order[p.id] = p.id, i
	}
	var list []*models.TaskRecord
	short := func(column string) string {
		return fmt.Sprintf("CASE WHEN LENGTH(%s) <= %d THEN %[1]s ELSE '' END AS %[1]s", column, inPage)
	}
	err := s.db.WithContext(ctx).Where("task_id IN ?", ids).
		Select("task_id, task, queue, state, version, run, attempt, retries, max_retries, error, worker, tags, request_id," +
			" created_at, started_at, finished_at, " + short("args") + ", " + short("result")).
		Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("history: read records: %w", err)
	}
	slices.SortFunc(list, func(a, b *models.TaskRecord) int { return order[a.TaskID] - order[b.TaskID] })
	return list, nil
}
