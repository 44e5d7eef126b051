package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/visible"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/outbox"
)

// ErrNotFound says that there is no such run.
var ErrNotFound = errors.New("bulk: there is no such run")

// Store keeps the runs. It is safe for concurrent use.
type Store struct {
	db      *gorm.DB
	tasks   *tasks.Client
	history *history.Store
	logger  *slog.Logger
	batch   int
	now     func() time.Time
	reached func(point) error // for tests: what becomes of the worker at a point; nil in service
}

// point is where a run may be cut off.
type point int

const (
	beforeActs       point = iota // a batch is read
	beforeCheckpoint              // the batch is done, and not written down
)

// batchTasks is how many records of the history are looked at between two checkpoints.
const batchTasks = 500

// New makes the store of a migrated database, which must have an outbox by the first Start.
func New(db *gorm.DB, client *tasks.Client, records *history.Store, logger *slog.Logger) *Store {
	if logger == nil {
		logger = slog.Default()
	}
	return &Store{db: db, tasks: client, history: records, logger: logger, batch: batchTasks, now: time.Now}
}

// Run is a run and how far it is.
type Run struct {
	ID         string // its task's
	Action     Action
	Filter     Filter
	Terminate  bool
	Priority   string // high, normal or low, with Prioritize
	By         string
	State      tasks.State // PENDING, STARTED, SUCCESS, FAILURE, or REVOKED when it was stopped
	LookedAt   int64       // records of the history
	Done       int64       // tasks
	Skipped    int64       // tasks that were in another state by then, or gone
	Gone       int64       // of these, tasks that Redis does not know any more
	Failed     int64       // tasks that could not be done
	CreatedAt  time.Time
	StartedAt  time.Time // zero until a worker has begun
	FinishedAt time.Time // zero until it has ended
	Error      string
	Failures   []Failure // the first ten
}

// Failure is a task that could not be done.
type Failure struct {
	ID    string `json:"id"`
	Error string `json:"error"`
}

// Start begins a run, and returns its id, which is its task's, too. A *RequestError says what of the request makes no sense. The
// run is there once Start has returned; a worker begins as soon as one is free.
func (s *Store) Start(ctx context.Context, r Request) (id string, err error) {
	if len(r.By) > tasks.MaxActor || !visible.Line(r.By) {
		return "", requestErrorf("by", "want 1 to %d bytes of visible text in one line", tasks.MaxActor)
	}
	if err := s.check(ctx, &r); err != nil {
		return "", err
	}
	filter, err := r.Filter.encode()
	if err != nil {
		return "", fmt.Errorf("bulk: encode the filter: %w", err)
	}
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		made, err := Task.EnqueueTx(ctx, outbox.Tx(tx), RunArgs{})
		if err != nil {
			return err
		}
		id = made.ID()
		return tx.Create(&models.BulkRun{
			ID: id, Action: string(r.Action), Filter: filter, Terminate: r.Terminate, Priority: r.Priority, MadeBy: r.By, State: string(tasks.StatePending),
			Failures: "[]", CreatedAt: s.now().UTC().Truncate(time.Microsecond),
		}).Error
	})
	if err != nil {
		return "", fmt.Errorf("bulk: start a run: %w", err)
	}
	return id, nil
}

// check tells what of the request makes no sense.
func (s *Store) check(ctx context.Context, r *Request) error {
	if err := r.validate(); err != nil {
		return err
	}
	_, err := s.history.Walk(ctx, r.Filter.query(s.now()), r.Action.states()...)
	return inFilter(err)
}

const (
	// countMost and readMost are how many records a dry run looks at: without reading them, and reading them.
	countMost = 100_000
	readMost  = 20_000
	readBytes = 256 << 20 // of arguments, results and errors
	// MaxExamples bounds those of a Preview.
	MaxExamples = 10
)

// Preview is what a run would meet.
type Preview struct {
	Matched  int           // tasks
	More     bool          // there may be more of them
	Examples []*tasks.Info // the newest
}

// Preview counts the tasks that a run would meet, in the history, and changes nothing. It looks at 100,000 records at most, or at
// 20,000 where they have to be read.
func (s *Store) Preview(ctx context.Context, r Request) (*Preview, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	w, err := s.history.Walk(ctx, r.Filter.query(s.now()), r.Action.states()...)
	if err != nil {
		return nil, inFilter(err)
	}
	most := countMost
	if f := r.Filter; f.Text != "" || f.Tag != "" || f.ErrorGroup != "" {
		most = readMost
	}
	p := &Preview{}
	var first []history.Found
	batch := 1000
	if r.Filter.Text != "" {
		batch = 250 // records with their arguments and results
	}
	for looked := 0; ; {
		found, n, err := w.Next(ctx, batch)
		if err != nil {
			return nil, err
		}
		looked += n
		p.Matched += len(found)
		first = append(first, found[:min(len(found), MaxExamples-len(first))]...)
		if n < batch {
			break
		}
		if looked >= most || w.Read() >= readBytes {
			p.More = true
			break
		}
	}
	p.Examples, err = s.history.Recall(ctx, first)
	return p, err
}

// Get is a run, or ErrNotFound. A run whose task has ended without it, because it was revoked or has failed, has ended as its
// task has.
func (s *Store) Get(ctx context.Context, id string) (*Run, error) {
	row, err := s.row(ctx, id)
	if err != nil {
		return nil, err
	}
	if !tasks.State(row.State).Final() {
		info, err := s.tasks.Info(ctx, id)
		if errors.Is(err, tasks.ErrNotFound) { // it was revoked while it was in the outbox, or long ago
			info, err = s.history.Find(ctx, id)
			if err == nil && (info.State == tasks.StateLost || info.State == tasks.StateSuccess) {
				info.State, info.Error = tasks.StateFailure, "its task is gone"
			}
		}
		if err == nil && (info.State == tasks.StateFailure || info.State == tasks.StateRevoked) {
			if row, err = s.endWith(ctx, id, info); err != nil {
				return nil, err
			}
		}
	}
	return newRun(row)
}

// endWith writes down that the task of a run has ended without it.
func (s *Store) endWith(ctx context.Context, id string, info *tasks.Info) (*models.BulkRun, error) {
	ended := s.now().UTC().Truncate(time.Microsecond)
	if info.CompletedAt != nil {
		ended = info.CompletedAt.UTC()
	}
	err := s.db.WithContext(ctx).Model(&models.BulkRun{}).Where("id = ? AND finished_at IS NULL", id).
		Updates(map[string]any{"state": string(info.State), "error": shorten(info.Error), "finished_at": ended}).Error
	if err != nil {
		return nil, fmt.Errorf("bulk: end run %s: %w", id, err)
	}
	return s.row(ctx, id)
}

func (s *Store) row(ctx context.Context, id string) (*models.BulkRun, error) {
	row := new(models.BulkRun)
	err := s.db.WithContext(ctx).Take(row, "id = ?", id).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("bulk: read run %s: %w", id, err)
	}
	return row, nil
}

func newRun(row *models.BulkRun) (*Run, error) {
	filter, err := decodeFilter(row.Filter)
	if err != nil {
		return nil, err
	}
	r := &Run{
		ID: row.ID, Action: Action(row.Action), Filter: filter, Terminate: row.Terminate, Priority: row.Priority, By: row.MadeBy, State: tasks.State(row.State),
		LookedAt: row.LookedAt, Done: row.Done, Skipped: row.Skipped, Gone: row.Gone, Failed: row.Failed, CreatedAt: row.CreatedAt.UTC(), Error: row.Error,
		Failures: []Failure{},
	}
	if err := json.Unmarshal([]byte(row.Failures), &r.Failures); err != nil {
		return nil, fmt.Errorf("bulk: the failures of run %s can't be read: %w", row.ID, err)
	}
	if row.StartedAt != nil {
		r.StartedAt = row.StartedAt.UTC()
	}
	if row.FinishedAt != nil {
		r.FinishedAt = row.FinishedAt.UTC()
	}
	return r, nil
}

// Stop has a run end after the batch that it is at, as REVOKED; one that has not begun ends at once. What was done stays done.
// ErrNotFound says that there is none; one that has ended stays as it is.
func (s *Store) Stop(ctx context.Context, id string) (*Run, error) {
	db := s.db.WithContext(ctx).Model(&models.BulkRun{})
	err := db.Where("id = ? AND state = ?", id, string(tasks.StatePending)).
		Updates(map[string]any{"state": string(tasks.StateRevoked), "stop": true, "finished_at": s.now().UTC().Truncate(time.Microsecond)}).Error
	if err == nil {
		err = s.db.WithContext(ctx).Model(&models.BulkRun{}).Where("id = ? AND finished_at IS NULL", id).Update("stop", true).Error
	}
	if err != nil {
		return nil, fmt.Errorf("bulk: stop run %s: %w", id, err)
	}
	return s.Get(ctx, id)
}

const maxError = 255 // characters

func shorten(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if runes := []rune(text); len(runes) > maxError {
		return string(runes[:maxError])
	}
	return text
}
