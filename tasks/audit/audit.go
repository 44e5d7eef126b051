// Package audit keeps what operators did, and what others tried, in the table paidui_audit_log: who, what, to what, when,
// and what came of it. Log writes it, Search in search.go reads it, and the task history.prune deletes what is old.
//
// # What a crash and an outage leave
//
// Begin writes the act before it is done, without an outcome; End adds that. If the program dies in between, the act stays
// "begun": it may have been done or not. Add writes an act that is over, in batches and up to a moment later: for what is
// refused, and for calls that enqueue tasks, of which there may be thousands a second and whose tasks the history has. If the
// program is killed at that moment, these are lost. Of those that come faster than the database takes them, the log has some.
//
// An act goes on while the database is away, since an operator must be able to act in an outage. It is then in the log at level
// WARN, with all of its fields. Without a database every act is there at level INFO, and nowhere else.
package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
)

// Outcome is what came of an act.
type Outcome string

const (
	Begun   Outcome = "begun"   // it is being done, or its end was not told: the program died, or the database was away
	Done    Outcome = "done"    // answered without an error
	Refused Outcome = "refused" // who asked may not
	Failed  Outcome = "failed"  // answered with another error
)

// Act is one request that was to change something.
type Act struct {
	ID        int64
	At        time.Time     // when it began
	Who       string        // the name of a key, or a user; "" of a stranger, or of an operator without a name
	Role      string        // operator, observer or user; "" of a stranger
	What      string        // method and route, as "POST /v1/queues/:name/pause"
	Subject   string        // the route's parameters, with slashes between
	RequestID string        // as the log and the task have it
	Address   string        // of the client
	Status    int           // of HTTP; 0 while it is not known
	Code      int           // of the answer
	Message   string        // what was wrong
	TaskID    string        // of a task that was made
	Took      time.Duration // 0 while it is not known
}

// Outcome follows from the status.
func (a *Act) Outcome() Outcome {
	switch {
	case a.Status == 0:
		return Begun
	case a.Status == 401, a.Status == 403:
		return Refused
	case a.Status >= 400:
		return Failed
	}
	return Done
}

// attrs are all fields, for the log.
func (a *Act) attrs() []slog.Attr {
	return []slog.Attr{
		slog.String("who", a.Who), slog.String("role", a.Role), slog.String("what", a.What), slog.String("subject", a.Subject),
		slog.String("request_id", a.RequestID), slog.String("ip", a.Address), slog.String("outcome", string(a.Outcome())),
		slog.Int("status", a.Status), slog.Int("code", a.Code), slog.String("message", a.Message), slog.String("task_id", a.TaskID),
		slog.Time("at", a.At), slog.Float64("ms", milliseconds(a.Took)),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// record is the act as a row, whatever the lengths of its texts.
func (a *Act) record() *models.AuditRecord {
	return &models.AuditRecord{
		ID: a.ID, At: a.At.UTC().Truncate(time.Microsecond), Who: cut(a.Who, 128), Role: cut(a.Role, 16), What: cut(a.What, 255),
		Subject: cut(a.Subject, maxSubject), RequestID: cut(a.RequestID, 128), Address: cut(a.Address, 64), Status: a.Status, Code: a.Code,
		Message: cut(a.Message, 255), TaskID: cut(a.TaskID, 128), Micros: a.Took.Microseconds(),
	}
}

const maxSubject = 255 // characters

// cut is what a column of n characters takes of a text.
func cut(text string, n int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= n || utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n])
}

const (
	writeLimit = 2 * time.Second        // for an act that waits for it
	batchLimit = 5 * time.Second        // for a batch
	batchRows  = 1000                   // at most
	batchWait  = 100 * time.Millisecond // for more to come
	queueRows  = 20_000                 // that wait to be written
	overflows  = 100                    // lines a second of acts that find no place in the queue
)

// Log writes acts. It is safe for concurrent use.
type Log struct {
	db     *gorm.DB // nil: there is none
	logger *slog.Logger
	queue  chan Act

	writeLimit, batchLimit time.Duration

	mu      sync.Mutex
	second  int64 // Unix time
	told    int   // acts of that second that found no place, and are in the other log
	leftOut int   // those that are not, since the last line
}

// New makes the log of a migrated database; with nil acts are in logger alone. Run it, or what Add takes is written nowhere but
// there.
func New(db *gorm.DB, logger *slog.Logger) *Log {
	return &Log{db: db, logger: logger, queue: make(chan Act, queueRows), writeLimit: writeLimit, batchLimit: batchLimit}
}

// WaitFor has each write wait for the database for d at most, in place of 2 s for an act that waits for it and 5 s for a batch. It
// is to be called before the Log is used.
func (l *Log) WaitFor(d time.Duration) { l.writeLimit, l.batchLimit = d, d }

// Kept tells whether there is a database.
func (l *Log) Kept() bool { return l.db != nil }

// Begin writes an act that is about to be done, and gives it its id. It waits for the database for two seconds at most, and ctx
// does not end it.
func (l *Log) Begin(ctx context.Context, a *Act) {
	if l.db == nil {
		return
	}
	r := a.record()
	if err := l.within(ctx, func(db *gorm.DB) error { return db.Create(r).Error }); err != nil {
		l.warn(ctx, a, err)
		return
	}
	a.ID = r.ID
}

// End adds what came of an act that Begin has written.
func (l *Log) End(ctx context.Context, a *Act) {
	if l.db == nil || a.ID == 0 {
		l.Add(ctx, *a)
		return
	}
	r := a.record()
	err := l.within(ctx, func(db *gorm.DB) error {
		return db.Select("subject", "status", "code", "message", "task_id", "micros").Updates(r).Error
	})
	if err != nil {
		l.warn(ctx, a, err)
	}
}

// Add writes an act that is over, soon.
func (l *Log) Add(ctx context.Context, a Act) {
	if l.db == nil {
		l.logger.LogAttrs(ctx, slog.LevelInfo, "act", a.attrs()...)
		return
	}
	select {
	case l.queue <- a:
	default:
		l.overflow(ctx, &a, time.Now())
	}
}

// overflow is for an act that finds no place, since more tasks are enqueued than the database takes rows. Of many acts the log
// has some, and how many were left out.
func (l *Log) overflow(ctx context.Context, a *Act, now time.Time) {
	l.mu.Lock()
	if second := now.Unix(); second != l.second {
		l.second, l.told = second, 0
	}
	l.told++
	tells, leftOut := l.told <= overflows, l.leftOut
	if l.leftOut++; tells {
		l.leftOut = 0
	}
	l.mu.Unlock()
	if tells {
		l.warn(ctx, a, fmt.Errorf("too many acts wait to be written; %d were left out here", leftOut))
	}
}

func (l *Log) within(ctx context.Context, f func(*gorm.DB) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.writeLimit)
	defer cancel()
	return f(l.db.WithContext(ctx))
}

// warn keeps an act in the log that the table does not take.
func (l *Log) warn(ctx context.Context, a *Act, err error) {
	l.logger.LogAttrs(ctx, slog.LevelWarn, "an act is not in the audit log", append(a.attrs(), slog.Any("error", err))...)
}

// Run writes what Add takes, until ctx ends; then it writes what is left.
func (l *Log) Run(ctx context.Context) error {
	for {
		select {
		case a := <-l.queue:
			l.write(ctx, l.batch(ctx, a))
			continue
		default:
		}
		select {
		case a := <-l.queue:
			l.write(ctx, l.batch(ctx, a))
		case <-ctx.Done():
			if len(l.queue) == 0 {
				return nil
			}
		}
	}
}

// batch collects what comes within a moment.
func (l *Log) batch(ctx context.Context, first Act) []Act {
	list := []Act{first}
	over := time.NewTimer(batchWait)
	defer over.Stop()
	for len(list) < batchRows {
		select {
		case a := <-l.queue:
			list = append(list, a)
			continue
		default:
		}
		select {
		case a := <-l.queue:
			list = append(list, a)
		case <-over.C:
			return list
		case <-ctx.Done():
			return list
		}
	}
	return list
}

// write inserts acts, all at once or else one by one. What the table does not take stays in the log.
func (l *Log) write(ctx context.Context, list []Act) {
	rows := make([]*models.AuditRecord, len(list))
	for i := range list {
		rows[i] = list[i].record()
	}
	err := l.insert(ctx, rows)
	if err == nil {
		return
	}
	for i := range list {
		if err == nil || !models.IsAway(err) && !errors.Is(err, context.DeadlineExceeded) {
			rows[i].ID = 0
			err = l.insert(ctx, rows[i:i+1])
		}
		if err != nil {
			l.warn(ctx, &list[i], err)
		}
	}
}

func (l *Log) insert(ctx context.Context, rows []*models.AuditRecord) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.batchLimit)
	defer cancel()
	err := l.db.WithContext(ctx).Create(rows).Error
	if models.IsConflict(err) {
		err = l.db.WithContext(ctx).Create(rows).Error
	}
	return err
}
