// Package models holds the tables of Paidui as GORM models, opens the database and migrates it.
//
// The same models live on MySQL (or MariaDB), where versioned SQL migrations make the tables, and on the
// embedded SQLite, where AutoMigrate makes them. On both, text compares byte for byte ("a" is not "A") and times
// are UTC in microseconds.
package models

import "time"

// Banner is one picture of the home page's carousel. Image is a path below /media or an absolute URL.
type Banner struct {
	ID        int64     `gorm:"primaryKey"`
	Title     string    `gorm:"size:64;not null"`
	Image     string    `gorm:"size:255;not null"`
	Link      string    `gorm:"size:255;not null"`
	Orders    int       `gorm:"not null;index:idx_banners_visible,priority:3"` // position, ascending
	IsShow    bool      `gorm:"not null;index:idx_banners_visible,priority:2"`
	IsDelete  bool      `gorm:"not null;index:idx_banners_visible,priority:1"`
	CreatedAt time.Time `gorm:"not null"`
	UpdatedAt time.Time `gorm:"not null"`
}

// Goods is one article of a flash sale. Price is in fen; Stock is what no order has taken yet.
type Goods struct {
	ID        int64     `gorm:"primaryKey"`
	Name      string    `gorm:"size:128;not null;uniqueIndex"`
	Price     int64     `gorm:"not null;check:chk_goods_price,price >= 0"`
	Stock     int64     `gorm:"not null;check:chk_goods_stock,stock >= 0"`
	StartsAt  time.Time `gorm:"not null"`
	EndsAt    time.Time `gorm:"not null"`
	CreatedAt time.Time `gorm:"not null"`
	UpdatedAt time.Time `gorm:"not null"`
}

// TableName keeps GORM from inflecting an uncountable noun.
func (Goods) TableName() string { return "goods" }

// Order is one piece sold: at most one a user and goods, and exactly one a task.
type Order struct {
	ID        int64     `gorm:"primaryKey"`
	OrderNo   string    `gorm:"size:32;not null;uniqueIndex"`
	UserID    int64     `gorm:"not null;uniqueIndex:idx_orders_user_goods,priority:1"`
	GoodsID   int64     `gorm:"not null;uniqueIndex:idx_orders_user_goods,priority:2;index"`
	TaskID    string    `gorm:"size:128;not null;uniqueIndex"`
	CreatedAt time.Time `gorm:"not null"`
}

// User is a person who logged in with a mobile number. Certi is the certificate shown beside the name, or "".
type User struct {
	ID        int64     `gorm:"primaryKey"`
	Mobile    string    `gorm:"size:16;not null;uniqueIndex"`
	Name      string    `gorm:"size:32;not null"`
	Photo     string    `gorm:"size:255;not null"`
	Intro     string    `gorm:"size:255;not null"`
	Certi     string    `gorm:"size:64;not null"`
	CreatedAt time.Time `gorm:"not null"`
	UpdatedAt time.Time `gorm:"not null"`
}

// Following says that UserID follows TargetID.
type Following struct {
	ID        int64     `gorm:"primaryKey"`
	UserID    int64     `gorm:"not null;uniqueIndex:idx_followings_user_target,priority:1;index:idx_followings_user_time,priority:1"`
	TargetID  int64     `gorm:"not null;uniqueIndex:idx_followings_user_target,priority:2;index"`
	CreatedAt time.Time `gorm:"not null;index:idx_followings_user_time,priority:2"`
}

// Article is a text that a user published.
type Article struct {
	ID        int64     `gorm:"primaryKey"`
	UserID    int64     `gorm:"not null;index"`
	Title     string    `gorm:"size:128;not null"`
	Content   string    `gorm:"type:mediumtext;not null"`
	CreatedAt time.Time `gorm:"not null"`
	UpdatedAt time.Time `gorm:"not null"`
}

// SMSMessage records what became of one sms.send task. Code and Content are kept by the outbox provider only.
type SMSMessage struct {
	ID        int64     `gorm:"primaryKey"`
	TaskID    string    `gorm:"size:128;not null;uniqueIndex"`
	Mobile    string    `gorm:"size:16;not null;index:idx_sms_messages_mobile_time,priority:1"`
	Code      string    `gorm:"size:8;not null"`
	Content   string    `gorm:"size:255;not null"`
	Provider  string    `gorm:"size:16;not null"`
	SerialNo  string    `gorm:"size:64;not null"` // the provider's, "" when it refused
	Fee       int64     `gorm:"not null"`         // messages charged
	Error     string    `gorm:"size:255;not null"`
	CreatedAt time.Time `gorm:"not null;index:idx_sms_messages_mobile_time,priority:2"`
	UpdatedAt time.Time `gorm:"not null"`
}

// TableName keeps GORM from splitting the initialism.
func (SMSMessage) TableName() string { return "sms_messages" }

// TaskRecord is what the history remembers of one task. Its one index serves every search: see package history.
type TaskRecord struct {
	TaskID     string     `gorm:"size:128;primaryKey;index:idx_task_records_kind,priority:5"`
	Task       string     `gorm:"size:64;not null;index:idx_task_records_kind,priority:1"`
	Queue      string     `gorm:"size:64;not null;index:idx_task_records_kind,priority:2"`
	State      string     `gorm:"size:16;not null;index:idx_task_records_kind,priority:3"`
	Version    int64      `gorm:"not null"` // how far the task was: a record with a higher one replaces it
	Run        int        `gorm:"not null"` // 1, and 1 more for each time it was run again by hand
	Attempt    int        `gorm:"not null"` // 0 before the first
	Retries    int        `gorm:"not null"`
	MaxRetries int        `gorm:"not null"`
	Args       string     `gorm:"type:mediumtext;not null"` // JSON, or "" when it is not kept
	Result     string     `gorm:"type:mediumtext;not null"` // JSON, or "" without one
	Error      string     `gorm:"type:text;not null"`
	Worker     string     `gorm:"size:128;not null"`
	Tags       string     `gorm:"type:text;not null"` // with a space between them
	RequestID  string     `gorm:"size:128;not null"`
	Room       string     `gorm:"size:64;not null"`                                // spaces until it has ended, in whose place its end fits
	CreatedAt  time.Time  `gorm:"not null;index:idx_task_records_kind,priority:4"` // when it was enqueued, in milliseconds
	StartedAt  *time.Time // nil until a worker ran it
	FinishedAt *time.Time // nil until it has ended
}

// TaskBundle holds the records of many tasks that wait. Earlier builds write it; package history turns it into TaskRecords.
type TaskBundle struct {
	ID      int64     `gorm:"primaryKey"`
	FirstAt time.Time `gorm:"not null"`                                        // when the first of them was enqueued
	LastAt  time.Time `gorm:"not null;index"`                                  // ... and the last
	Old     bool      `gorm:"not null;index:idx_task_bundles_look,priority:1"` // they are compared with Redis, too
	LookAt  time.Time `gorm:"not null;index:idx_task_bundles_look,priority:2"` // when to look next what has become of them
	Tasks   int       `gorm:"not null"`
	Kinds   string    `gorm:"type:text;not null"`       // their names and queues; "" when there are too many
	Probe   string    `gorm:"type:text;not null"`       // ids of some of them
	Records []byte    `gorm:"type:mediumblob;not null"` // package history's
	Filter  []byte    `gorm:"type:blob"`                // which ids it has not; NULL, of an earlier build, tells nothing
}

// TaskTag finds the records of a tag, by the time at which their tasks were enqueued.
type TaskTag struct {
	Tag       string    `gorm:"size:64;primaryKey"`
	CreatedAt time.Time `gorm:"primaryKey"`
	TaskID    string    `gorm:"size:128;primaryKey"`
}

// TaskEffect says that the effects of a task on this database are done: it commits with them.
type TaskEffect struct {
	TaskID    string    `gorm:"size:128;primaryKey"`
	CreatedAt time.Time `gorm:"not null;index"`
}

// OutboxRow is a task that commits with the caller's data. It stays until its task has ended, so that the task can be
// enqueued again if Redis loses it.
type OutboxRow struct {
	ID        int64      `gorm:"primaryKey"`
	TaskID    string     `gorm:"size:128;not null;uniqueIndex"`
	Task      string     `gorm:"size:64;not null;index"`
	Body      string     `gorm:"type:mediumtext;not null"` // JSON
	CreatedAt time.Time  `gorm:"not null"`
	SentAt    *time.Time `gorm:"index:idx_outbox_state,priority:1"` // when it was last known to be in Redis; nil before that
	FailedAt  *time.Time `gorm:"index:idx_outbox_state,priority:2"` // when it was given up: no Redis would take it
	Error     string     `gorm:"size:255;not null"`                 // why
}

// TableName is the design's word for the table.
func (OutboxRow) TableName() string { return "outbox" }

// ScheduleTick is the last tick of a durable schedule whose task went into the outbox.
type ScheduleTick struct {
	Entry string `gorm:"primaryKey;size:64"`
	Rule  string `gorm:"size:64;not null"` // a digest of what decides about its ticks
	Tick  int64  `gorm:"not null"`         // Unix time
}

// All lists one value of every model, in an order in which the tables can be made.
func All() []any {
	return []any{
		&Banner{}, &Goods{}, &Order{}, &User{}, &Following{}, &Article{},
		&SMSMessage{}, &TaskRecord{}, &TaskBundle{}, &TaskTag{}, &TaskEffect{}, &OutboxRow{}, &ScheduleTick{},
	}
}
