package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// doubtTries is how often a row is tried that fails for a reason which need not be the row's.
const doubtTries = 3

const doubtPause = 50 * time.Millisecond // before the second of these tries, and twice as long before the third

// probeLimit bounds the question whether the database takes rows at all.
const probeLimit = 5 * time.Second

// writeAccepted writes rows as write does, and goes on without what the database refuses: rows that fail together are halved until
// the one is alone that makes them fail. That row is reduced and tried again, and left out, marked as refused, when even
// its bare form fails. writeAccepted may be repeated with the same rows. Its error is the database's: then some rows may be written.
//
// A row is at fault when the error says so, or when it fails again and again while the database takes another row. limit
// bounds each transaction.
func (t *table) writeAccepted(ctx context.Context, rows []*row, limit time.Duration) error {
	err := t.writeWithin(ctx, rows, limit)
	for try := 1; err != nil; try++ {
		certain := models.IsRowFault(err)
		switch {
		case ctx.Err() != nil, len(rows) > 1 && errors.Is(err, context.DeadlineExceeded):
			return err // rows that are merely many: the caller sends fewer
		case !certain && t.probe(ctx) != nil:
			return err
		case len(rows) > 1:
			half := len(rows) / 2
			if err := t.writeAccepted(ctx, rows[:half], limit); err != nil {
				return err
			}
			return t.writeAccepted(ctx, rows[half:], limit)
		case certain || try >= doubtTries:
			try = 0
			rows[0].reduce(err)
			t.refused(rows[0], err)
		case !pause(ctx, doubtPause<<(try-1)):
			return err
		}
		err = t.writeWithin(ctx, rows, limit)
	}
	return nil
}

// writeWithin is write without the rows that are refused.
func (t *table) writeWithin(ctx context.Context, rows []*row, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	sound := make([]*row, 0, len(rows))
	for _, r := range rows {
		if r.form != formRefused {
			sound = append(sound, r)
		}
	}
	if len(sound) == 0 {
		return nil
	}
	_, err := t.write(ctx, sound)
	return err
}

var errUndo = errors.New("the row was only to be tried")

// probe tries whether the database takes a row. It leaves none.
func (t *table) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	r, ok := newRow(tasks.Record{ID: "probe-" + uuid.NewString(), State: tasks.StatePending}, time.Now())
	if !ok {
		return errors.New("history: the probe is no task's record") // cannot happen: its id and state are sound
	}
	err := t.transact(ctx, func(tx *session) error {
		if _, err := t.put(ctx, tx, []*row{&r}); err != nil {
			return err
		}
		return errUndo
	})
	if errors.Is(err, errUndo) {
		return nil
	}
	return err
}

// pause is false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// form is how much is left of a row.
type form int

const (
	formWhole   form = iota
	formReduced      // its arguments and its result are left out
	formBare         // and whatever else a task can do without
	formRefused      // it is not written
)

// reduce takes more out of a row that the database refuses, and says why in the place of its arguments.
func (r *row) reduce(why error) {
	r.form++
	switch r.form {
	case formReduced:
		note := fmt.Sprintf("%q", "left out, for the database refuses it: "+models.Reason(why))
		r.args = note
		if r.result != "" {
			r.result = note
		}
	case formBare:
		r.err, r.worker, r.request, r.tags = "", "", "", ""
	}
}

// logRefused tells of a row that was reduced or refused. It gives the reason alone: the error may quote the row.
func logRefused(logger *slog.Logger, r *row, why error) {
	attrs := []any{"task_id", r.id, "task", r.task, "state", r.state, "reason", models.Reason(why)}
	switch r.form {
	case formReduced:
		logger.Warn("the database refuses a record of the history, which is stored without its arguments and result", attrs...)
	case formRefused:
		logger.Error("the database refuses a record of the history, which is dropped", attrs...)
	}
}
