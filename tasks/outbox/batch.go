package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// row is what a batch needs of a row.
type row struct {
	ID        int64
	TaskID    string
	Task      string
	Body      string
	CreatedAt time.Time
}

// batchResult is what became of the rows of a batch. Rows that are in none of the lists stay as they are.
type batchResult struct {
	sent    []row
	resent  []row // by the sweeper
	alive   []row // known to Redis
	ended   []row
	gone    []row // not to run: a unique or throttled task is there already
	refused []refusedRow
	held    bool  // some were not sent, because their queues are full
	err     error // why others were not sent

	full map[string]bool // queues that were found full: nothing is sent to them
}

// refusedRow is a row that can't be sent, now or ever.
type refusedRow struct {
	row
	reason error
}

// locked runs f with a transaction whose row locks keep other relays and sweepers off, and nobody else: its isolation
// level locks rows and no gaps. Where there are no row locks, f runs without: to send a row twice is harmless, and to hold
// the one lock of all writers while Redis is asked is not.
func (o *Outbox) locked(ctx context.Context, f func(tx *gorm.DB) error) error {
	db := o.db.Session(&gorm.Session{NewDB: true, Context: ctx})
	if !o.locks {
		return f(db)
	}
	return db.Transaction(f, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
}

// lockBatch reads and locks the next rows of a query, and skips those that others have locked. full reports that there may
// be more.
func (o *Outbox) lockBatch(query *gorm.DB) (batch []row, full bool, err error) {
	query = query.Model(&models.OutboxRow{}).Select("id", "task_id", "task", "body", "created_at").Limit(o.pace.batch)
	if o.locks {
		query = query.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate, Options: clause.LockingOptionsSkipLocked})
	}
	found, err := query.Rows()
	if err != nil {
		return nil, false, fmt.Errorf("read the outbox: %w", err)
	}
	defer found.Close()
	size := 0
	for found.Next() {
		if size >= o.pace.bytes {
			return batch, true, nil
		}
		var r row
		if err := found.Scan(&r.ID, &r.TaskID, &r.Task, &r.Body, &r.CreatedAt); err != nil {
			return nil, false, fmt.Errorf("read the outbox: %w", err)
		}
		batch = append(batch, r)
		size += len(r.Body)
	}
	if err := found.Err(); err != nil {
		return nil, false, fmt.Errorf("read the outbox: %w", err)
	}
	return batch, len(batch) == o.pace.batch, nil
}

// send puts the tasks of rows into Redis, by Send or SendAgain.
func (v *batchResult) send(ctx context.Context, by func(context.Context, []*tasks.OutboxMessage) []error, rows []row) {
	rows, messages := v.open(v.decode(rows))
	for i, err := range by(ctx, messages) {
		if wrongType(err) { // and so are those that went with it
			err = by(ctx, messages[i:i+1])[0]
		}
		if errors.Is(err, tasks.ErrQueueFull) {
			v.held, v.full[messages[i].Queue()] = true, true
			continue
		}
		v.add(rows[i], err)
	}
}

// open are those of the rows whose queues were not found full.
func (v *batchResult) open(rows []row, messages []*tasks.OutboxMessage) ([]row, []*tasks.OutboxMessage) {
	if len(v.full) == 0 {
		return rows, messages
	}
	var some []row
	var of []*tasks.OutboxMessage
	for i, p := range messages {
		if v.full[p.Queue()] {
			v.held = true
			continue
		}
		some, of = append(some, rows[i]), append(of, p)
	}
	return some, of
}

// decode reads the bodies of rows. A row that can't be read is refused.
func (v *batchResult) decode(rows []row) (sound []row, messages []*tasks.OutboxMessage) {
	for _, r := range rows {
		p := new(tasks.OutboxMessage)
		err := json.Unmarshal([]byte(r.Body), p)
		if err == nil && p.ID() != r.TaskID {
			err = fmt.Errorf("the body is of task %s", p.ID())
		}
		if err != nil {
			v.refused = append(v.refused, refusedRow{r, fmt.Errorf("read the task: %w", err)})
			continue
		}
		sound, messages = append(sound, r), append(messages, p)
	}
	return sound, messages
}

// add sorts a row by the answer to its sending.
func (v *batchResult) add(r row, err error) {
	switch {
	case err == nil:
		v.sent = append(v.sent, r)
	case errors.Is(err, tasks.ErrDuplicate):
		v.gone = append(v.gone, r)
	case wrongType(err):
		v.refused = append(v.refused, refusedRow{r, err})
	default:
		v.err = err
	}
}

// wrongType reports that Redis holds something else under a key of the task, which no waiting will change. A script has
// the error's name somewhere in its text.
func wrongType(err error) bool { return err != nil && strings.Contains(err.Error(), "WRONGTYPE") }

// settle writes the result of a batch into its rows.
func (o *Outbox) settle(tx *gorm.DB, v batchResult) error {
	now := o.db.NowFunc()
	if there := ids(v.sent, v.resent, v.alive); len(there) > 0 {
		if err := models.SetKeys(tx, byID, there, "sent_at", now).Error; err != nil {
			return fmt.Errorf("mark what was sent: %w", err)
		}
	}
	if over := ids(v.ended, v.gone); len(over) > 0 {
		if err := models.DeleteKeys(tx, byID, over).Error; err != nil {
			return fmt.Errorf("delete rows that are done: %w", err)
		}
	}
	for _, r := range v.refused {
		failure := map[string]any{"sent_at": nil, "failed_at": now, "error": shorten(r.reason.Error(), maxFailure)}
		if err := tx.Model(&models.OutboxRow{ID: r.ID}).Updates(failure).Error; err != nil {
			return fmt.Errorf("mark what can't be sent: %w", err)
		}
	}
	return nil
}

func ids(lists ...[]row) []int64 {
	var all []int64
	for _, list := range lists {
		for _, r := range list {
			all = append(all, r.ID)
		}
	}
	return all
}

// maxFailure is the length of the column error, in characters.
const maxFailure = 255

// shorten cuts text to at most n characters of UTF-8.
func shorten(text string, n int) string {
	runes := []rune(strings.ToValidUTF8(text, "\uFFFD"))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:n-1]) + "…"
}

// maxLogLines bounds the lines that a batch logs of one kind: when Redis loses everything, each row would have one.
const maxLogLines = 10

// logResult logs and counts a result that was committed.
func (o *Outbox) logResult(ctx context.Context, v batchResult) {
	o.counters.sent.Add(float64(len(v.sent)))
	o.counters.failed.Add(float64(len(v.refused)))
	o.counters.resent.Add(float64(len(v.resent)))
	for i, r := range v.resent {
		if i == maxLogLines {
			o.logger.WarnContext(ctx, "and more tasks sent again, for Redis has lost them", "tasks", len(v.resent)-i)
			break
		}
		o.logger.WarnContext(ctx, "task sent again, for Redis does not know it", "task_id", r.TaskID, "task", r.Task, "created_at", r.CreatedAt)
	}
	for _, r := range v.gone {
		o.logger.InfoContext(ctx, "task dropped, for a unique or throttled one is there already", "task_id", r.TaskID, "task", r.Task)
	}
	for _, r := range v.refused {
		o.logger.ErrorContext(ctx, "task given up, for it can't be sent: its row stays in the outbox; set failed_at to NULL to have it tried again",
			"task_id", r.TaskID, "task", r.Task, "row", r.ID, "error", r.reason)
	}
}
