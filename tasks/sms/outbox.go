package sms

import (
	"context"
	"crypto/rand"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/models"
)

const outboxProvider = "outbox"

// The most rows that OutboxMessages returns, and what it returns when not told.
const (
	outboxDefault = 20
	outboxMost    = 100
)

type outbox struct{ db *gorm.DB }

// NewOutbox returns the provider for development: it sends nothing and leaves the message, code and all, in
// sms_messages, where OutboxMessages finds it.
func NewOutbox(db *gorm.DB) Sender { return &outbox{db: db} }

func (o *outbox) Provider() string { return outboxProvider }

func (o *outbox) Send(ctx context.Context, m Message) (Receipt, error) {
	row := models.SMSMessage{
		TaskID:   m.TaskID,
		Mobile:   m.Mobile,
		Code:     m.Code,
		Content:  fmt.Sprintf("【排队】您的验证码是%s，%d分钟内有效。", m.Code, m.minutes()),
		Provider: outboxProvider,
		SerialNo: "outbox-" + rand.Text(),
	}
	err := o.db.WithContext(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "task_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"code", "content", "provider", "serial_no", "updated_at"}),
	}).Create(&row).Error
	if err != nil {
		return Receipt{}, fmt.Errorf("sms: writing the message to the outbox: %w", err)
	}
	return Receipt{SerialNo: row.SerialNo}, nil
}

// OutboxMessages returns what the outbox provider sent to a number, the last sent first, at most limit messages: 20
// when limit is not positive, and never more than 100. UpdatedAt is when a message was sent.
func OutboxMessages(ctx context.Context, db *gorm.DB, mobile string, limit int) ([]models.SMSMessage, error) {
	if limit <= 0 {
		limit = outboxDefault
	}
	var rows []models.SMSMessage
	err := db.WithContext(ctx).
		Where("mobile = ? AND provider = ? AND serial_no <> ''", mobile, outboxProvider).
		Order("updated_at DESC, id DESC").
		Limit(min(limit, outboxMost)).
		Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("sms: reading the outbox: %w", err)
	}
	return rows, nil
}
