package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// Put implements tasks.Outbox.
func (o *Outbox) Put(ctx context.Context, messages ...*tasks.OutboxMessage) error {
	return o.put(ctx, o.db, messages)
}

// put stores messages with tx.
func (o *Outbox) put(ctx context.Context, tx *gorm.DB, messages []*tasks.OutboxMessage) error {
	if len(messages) == 0 {
		return nil
	}
	tx = tx.Session(&gorm.Session{NewDB: true, Context: ctx, SkipHooks: true})
	rows := make([]models.OutboxRow, len(messages))
	for i, p := range messages {
		body, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("write task %s for the outbox: %w", p.ID(), err)
		}
		rows[i] = models.OutboxRow{TaskID: p.ID(), Task: p.Task(), Body: string(body)}
	}
	if err := tx.Create(&rows).Error; err != nil {
		if models.IsDuplicate(err) {
			return newTakenError(messages[0])
		}
		return fmt.Errorf("put tasks into the outbox: %w", err)
	}
	// What a transaction has that can't tell of its commit, as a *sql.Tx or one within gorm's Connection, is found by the next
	// look.
	send := o.wakeRelay
	if o.client.Immediate() {
		send = func() { o.sendNow(messages) }
	}
	if _, within := tx.Statement.ConnPool.(gorm.TxCommitter); !within || !models.AfterCommit(tx, send) {
		send()
	}
	return nil
}

// Find implements tasks.Outbox.
func (o *Outbox) Find(ctx context.Context, id string) (p *tasks.OutboxMessage, failure string, err error) {
	var row models.OutboxRow
	err = o.table(ctx).Select("body", "failed_at", "error").Where("task_id = ?", id).Take(&row).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return nil, "", nil
	case err != nil:
		return nil, "", err
	}
	p = new(tasks.OutboxMessage)
	if err := json.Unmarshal([]byte(row.Body), p); err != nil {
		return nil, "", fmt.Errorf("read task %s: %w", id, err)
	}
	if row.FailedAt != nil {
		failure = row.Error
	}
	return p, failure, nil
}

// Remove takes a task that has not been sent yet out of the outbox, so that it never runs. It reports false when there is
// none: the task has been sent, or is being sent, or never was. A task that was given up is taken out too.
func (o *Outbox) Remove(ctx context.Context, id string) (bool, error) {
	return o.RemoveTx(ctx, o.db, id)
}

// RemoveTx is Remove in the transaction of tx.
func (o *Outbox) RemoveTx(ctx context.Context, tx *gorm.DB, id string) (bool, error) {
	tx = tx.Session(&gorm.Session{NewDB: true, Context: ctx})
	// While a relay is sending the row, this waits, and then finds it sent.
	done := o.dropUnsent(tx, id)
	if done.Error != nil {
		return false, fmt.Errorf("remove task %s from the outbox: %w", id, done.Error)
	}
	return done.RowsAffected > 0, nil
}

func (o *Outbox) dropUnsent(tx *gorm.DB, id string) *gorm.DB {
	if !o.locks {
		return tx.Where("task_id = ? AND sent_at IS NULL", id).Delete(&models.OutboxRow{})
	}
	return tx.Exec("DELETE o FROM paidui_outbox AS o FORCE INDEX ("+byTaskID.Index+") WHERE o.task_id = ? AND o.sent_at IS NULL", id)
}
