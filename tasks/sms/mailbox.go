package sms

import (
	"context"
	"crypto/rand"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/models/shop"
)

// mailboxProvider is how rows and settings name it.
const mailboxProvider = "outbox"

// How many rows Messages returns when it is given no limit, and at most.
const (
	defaultMessages = 20
	maxMessages     = 100
)

// Mailbox is the provider for development: it sends nothing and leaves the message, code and all, in sms_messages, where
// Messages finds it. It is safe for concurrent use.
type Mailbox struct{ db *gorm.DB }

// NewMailbox makes the mailbox of a database.
func NewMailbox(db *gorm.DB) *Mailbox { return &Mailbox{db: db} }

// Provider implements Sender.
func (b *Mailbox) Provider() string { return mailboxProvider }

// Send implements Sender.
func (b *Mailbox) Send(ctx context.Context, m Message) (Receipt, error) {
	row := shop.SMSMessage{
		TaskID:   m.TaskID,
		Mobile:   m.Mobile,
		Code:     m.Code,
		Content:  fmt.Sprintf("【排队】您的验证码是%s，%d分钟内有效。", m.Code, m.minutes()),
		Provider: mailboxProvider,
		SerialNo: "outbox-" + rand.Text(),
	}
	err := b.db.WithContext(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "task_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"code", "content", "provider", "serial_no", "updated_at"}),
	}).Create(&row).Error
	if err != nil {
		return Receipt{}, fmt.Errorf("sms: writing the message to the mailbox: %w", err)
	}
	return Receipt{SerialNo: row.SerialNo}, nil
}

// Messages returns what was sent to a number, the last sent first, at most limit messages: 20
// when limit is not positive, and never more than 100. UpdatedAt is when a message was sent.
func (b *Mailbox) Messages(ctx context.Context, mobile string, limit int) ([]shop.SMSMessage, error) {
	if limit <= 0 {
		limit = defaultMessages
	}
	var rows []shop.SMSMessage
	err := b.db.WithContext(ctx).
		Where("mobile = ? AND provider = ? AND serial_no <> ''", mobile, mailboxProvider).
		Order("updated_at DESC, id DESC").
		Limit(min(limit, maxMessages)).
		Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("sms: reading the mailbox: %w", err)
	}
	return rows, nil
}
