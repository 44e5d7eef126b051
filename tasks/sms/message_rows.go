package sms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/models/shop"
)

// Bounds of what sms_messages holds, in characters.
const (
	maxError  = 255
	maxSerial = 64
)

// beginTimeout is less than the attempt's own, so that one whose database is silent can still look for the code.
const beginTimeout = 8 * time.Second

// How long and how often finish tries to record the outcome of a send.
const (
	finishTimeout = 5 * time.Second
	finishTries   = 3
	finishPause   = 200 * time.Millisecond
)

// messageRows keeps the row of sms_messages that each task has: made before its first attempt, updated by every one.
type messageRows struct {
	db       *gorm.DB
	provider string
}

// begin makes the task's row unless it is there, and tells whether an earlier attempt has sent the message.
func (m messageRows) begin(ctx context.Context, taskID, mobile string) (sent bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	db := m.db.WithContext(ctx)
	var rows []shop.SMSMessage
	if err := db.Select("serial_no").Where("task_id = ?", taskID).Limit(1).Find(&rows).Error; err != nil {
		return false, fmt.Errorf("sms: looking for an earlier attempt: %w", err)
	}
	if len(rows) > 0 {
		return rows[0].SerialNo != "", nil
	}
	row := shop.SMSMessage{TaskID: taskID, Mobile: mobile, Provider: m.provider}
	if err := db.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
		return false, fmt.Errorf("sms: recording the attempt: %w", err)
	}
	return false, nil
}

// finish writes an attempt's outcome into the task's row. A message that is sent but not recorded could be sent
// again, so it tries more than once. An attempt that failed has nothing to say of a message that another one has sent
// meanwhile, as when this one's worker stood still.
func (m messageRows) finish(ctx context.Context, taskID string, receipt Receipt, outcome error) error {
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	values := map[string]any{"error": ""}
	if outcome != nil {
		values["error"] = truncate(reason(outcome), maxError)
	} else {
		values["serial_no"] = truncate(receipt.SerialNo, maxSerial)
		values["fee"] = receipt.Fee
	}
	for try := 1; ; try++ {
		row := m.db.WithContext(ctx).Model(&shop.SMSMessage{}).Where("task_id = ?", taskID)
		if outcome != nil {
			row = row.Where("serial_no = ?", "")
		}
		err := row.Updates(values).Error
		if err == nil || try == finishTries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(finishPause):
		}
	}
}

// reason is the cause without the sentence that a SendError puts around it for people.
func reason(err error) string {
	if e := (*SendError)(nil); errors.As(err, &e) {
		err = e.Err
	}
	return err.Error()
}

func truncate(s string, characters int) string {
	if runes := []rune(s); len(runes) > characters {
		return string(runes[:characters])
	}
	return s
}
