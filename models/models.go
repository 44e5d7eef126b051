// Package models holds the tables of Paidui as GORM models, opens the database and migrates it. All of them begin with
// paidui_, so that they can stand beside those of an application, whose models and migrations are its own.
//
// The same models live on MySQL (or MariaDB), where versioned SQL migrations make the tables, and on the
// embedded SQLite, where AutoMigrate makes them. On both, text compares byte for byte ("a" is not "A") and times
// are UTC in microseconds.
package models

import "time"

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
	LastAt  time.Time `gorm:"not null;index:idx_task_bundles_last_at"`         // ... and the last
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

// TaskFailure is the last failure of a task: it finds the tasks of an error group, by the time at which they were enqueued.
type TaskFailure struct {
	TaskID     string    `gorm:"size:128;primaryKey;index:idx_task_failures_group,priority:3"`
	ErrorGroup string    `gorm:"size:16;not null;index:idx_task_failures_group,priority:1"`
	Run        int       `gorm:"not null"` // as in its TaskRecord
	CreatedAt  time.Time `gorm:"not null;index:idx_task_failures_group,priority:2"`
}

// FailureCount counts the failures of a span of time that have everything in its key in common.
type FailureCount struct {
	Span       int       `gorm:"primaryKey;autoIncrement:false"` // in minutes
	At         time.Time `gorm:"primaryKey"`                     // when the span begins
	ErrorGroup string    `gorm:"size:16;primaryKey"`
	Task       string    `gorm:"size:64;primaryKey"`
	Queue      string    `gorm:"size:64;primaryKey"`
	Version    string    `gorm:"size:64;primaryKey"` // of the worker's program; "" when not known
	Failures   int64     `gorm:"not null"`
	FirstUS    int64     `gorm:"column:first_us;not null"` // when the first of them ended, in Unix microseconds
	LastUS     int64     `gorm:"column:last_us;not null"`  // ... and the last
	Example    string    `gorm:"size:128;not null"`        // id of the last
	Error      string    `gorm:"size:255;not null"`        // in its normal form
}

// BulkRun is what an operator does to many tasks at once, and how far it is: see package bulk.
type BulkRun struct {
	ID         string     `gorm:"size:128;primaryKey"` // its task's
	Action     string     `gorm:"size:16;not null"`
	Filter     string     `gorm:"type:text;not null"` // JSON
	Terminate  bool       `gorm:"not null"`
	Priority   string     `gorm:"size:16;not null"` // "" unless the action gives one
	MadeBy     string     `gorm:"size:128;not null"`
	State      string     `gorm:"size:16;not null"`
	Stop       bool       `gorm:"not null"`          // it is to end as soon as it can
	Step       int64      `gorm:"not null"`          // how often it has written how far it is
	Position   string     `gorm:"size:255;not null"` // where it goes on
	LookedAt   int64      `gorm:"not null"`          // records
	Done       int64      `gorm:"not null"`          // tasks
	Skipped    int64      `gorm:"not null"`
	Gone       int64      `gorm:"not null"` // of those that were skipped
	Failed     int64      `gorm:"not null"`
	Failures   string     `gorm:"type:text;not null"` // JSON, of the first that failed
	Error      string     `gorm:"size:255;not null"`
	CreatedAt  time.Time  `gorm:"not null;index:idx_bulk_created_at"`
	StartedAt  *time.Time // nil until a worker has begun
	FinishedAt *time.Time // nil until it has ended
}

// TaskEffect says that the effects of a task on this database are done: it commits with them.
type TaskEffect struct {
	TaskID    string    `gorm:"size:128;primaryKey"`
	CreatedAt time.Time `gorm:"not null;index:idx_task_effects_created_at"`
}

// OutboxRow is a task that commits with the caller's data. It stays until its task has ended, so that the task can be
// enqueued again if Redis loses it.
type OutboxRow struct {
	ID        int64      `gorm:"primaryKey"`
	TaskID    string     `gorm:"size:128;not null;uniqueIndex:idx_outbox_task_id"`
	Task      string     `gorm:"size:64;not null;index:idx_outbox_task"`
	Body      string     `gorm:"type:mediumtext;not null"` // JSON
	CreatedAt time.Time  `gorm:"not null"`
	SentAt    *time.Time `gorm:"index:idx_outbox_state,priority:1"` // when it was last known to be in Redis; nil before that
	FailedAt  *time.Time `gorm:"index:idx_outbox_state,priority:2"` // when it was given up: no Redis would take it
	Error     string     `gorm:"size:255;not null"`                 // why
}

// ScheduleTick is the last tick of a durable schedule whose task went into the outbox.
type ScheduleTick struct {
	Entry string `gorm:"primaryKey;size:64"`
	Rule  string `gorm:"size:64;not null"` // a digest of what decides about its ticks
	Tick  int64  `gorm:"not null"`         // Unix time
}

// ScheduleCount is how many ticks of a durable schedule with a maximum have gone into the outbox.
type ScheduleCount struct {
	Entry string `gorm:"primaryKey;size:64"`
	Rule  string `gorm:"size:64;not null"` // a digest of what decides about its ticks
	Ticks int64  `gorm:"not null"`
}

// ScheduleEntry is an entry of a schedule that an operator has made, or what one has changed of an entry of the file.
type ScheduleEntry struct {
	Name      string    `gorm:"primaryKey;size:64"`
	Kind      string    `gorm:"primaryKey;size:16"`       // entry or override
	Entry     string    `gorm:"type:mediumtext;not null"` // JSON; "" of an override that changes nothing but the pause
	Paused    *bool     // nil: as Entry, or the file, says
	Base      string    `gorm:"size:64;not null"` // of an override: identifies the file's entry that it was made for
	ChangedBy string    `gorm:"size:128;not null"`
	ChangedAt time.Time `gorm:"not null"`
}

// ScheduleRevision is the one row that counts the changes of ScheduleEntries.
type ScheduleRevision struct {
	ID       int64 `gorm:"primaryKey;autoIncrement:false"` // 1
	Revision int64 `gorm:"not null"`
}

// AuditRecord is one act of an operator, or what somebody else tried: see package audit.
type AuditRecord struct {
	ID        int64     `gorm:"primaryKey;index:idx_audit_log_at,priority:2;index:idx_audit_log_who,priority:3;index:idx_audit_log_what,priority:3;index:idx_audit_log_subject,priority:3"`
	At        time.Time `gorm:"not null;index:idx_audit_log_at,priority:1;index:idx_audit_log_who,priority:2;index:idx_audit_log_what,priority:2;index:idx_audit_log_subject,priority:2"` // when it began
	Who       string    `gorm:"size:128;not null;index:idx_audit_log_who,priority:1"`                                                                                                     // the name of a key, or a user
	Role      string    `gorm:"size:16;not null"`                                                                                                                                         // "" of a stranger
	What      string    `gorm:"size:255;not null;index:idx_audit_log_what,priority:1"`                                                                                                    // method and route
	Subject   string    `gorm:"size:255;not null;index:idx_audit_log_subject,priority:1"`                                                                                                 // the route's parameters
	RequestID string    `gorm:"size:128;not null"`
	Address   string    `gorm:"size:64;not null"`
	Status    int       `gorm:"not null"` // of HTTP; 0 while it is not known
	Code      int       `gorm:"not null"` // of the answer
	Message   string    `gorm:"size:255;not null"`
	TaskID    string    `gorm:"size:128;not null"` // of a task that was made
	Micros    int64     `gorm:"not null"`          // how long it took
}

// prefix begins the names of all tables.
const prefix = "paidui_"

// TableName implements GORM's Tabler.
func (TaskRecord) TableName() string { return prefix + "task_records" }

// TableName implements GORM's Tabler.
func (TaskBundle) TableName() string { return prefix + "task_bundles" }

// TableName implements GORM's Tabler.
func (TaskTag) TableName() string { return prefix + "task_tags" }

// TableName implements GORM's Tabler.
func (TaskFailure) TableName() string { return prefix + "task_failures" }

// TableName implements GORM's Tabler.
func (FailureCount) TableName() string { return prefix + "failure_counts" }

// TableName implements GORM's Tabler.
func (BulkRun) TableName() string { return prefix + "bulk" }

// TableName implements GORM's Tabler.
func (TaskEffect) TableName() string { return prefix + "task_effects" }

// TableName implements GORM's Tabler.
func (OutboxRow) TableName() string { return prefix + "outbox" }

// TableName implements GORM's Tabler.
func (ScheduleTick) TableName() string { return prefix + "schedule_ticks" }

// TableName implements GORM's Tabler.
func (ScheduleCount) TableName() string { return prefix + "schedule_counts" }

// TableName implements GORM's Tabler.
func (ScheduleEntry) TableName() string { return prefix + "schedules" }

// TableName implements GORM's Tabler.
func (ScheduleRevision) TableName() string { return prefix + "schedule_revision" }

// TableName implements GORM's Tabler.
func (AuditRecord) TableName() string { return prefix + "audit_log" }

// All lists one value of every model, in an order in which the tables can be made.
func All() []any {
	return []any{
		&TaskRecord{}, &TaskBundle{}, &TaskTag{}, &TaskEffect{}, &OutboxRow{}, &ScheduleTick{}, &AuditRecord{},
		&ScheduleCount{}, &ScheduleEntry{}, &ScheduleRevision{},
		&TaskFailure{}, &FailureCount{}, &BulkRun{},
	}
}
