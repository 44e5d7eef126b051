package history

import (
	"fmt"
	"strings"
)

// columns are those of paidui_task_records, in the order of row.values.
var columns = []string{
	"task_id", "task", "queue", "state", "version", "run", "attempt", "retries", "max_retries", "args", "result", "error",
	"worker", "tags", "request_id", "room", "created_at", "started_at", "finished_at",
}

// room is what a row holds until its task has ended. The worker's name, the times and a short result then take its
// place: a row that grew would often have to move, with its page, which costs the database a third more.
const room = "                                        "

// shape is which of a row's columns are parameters of its upsert.
type shape int

const (
	fullRow    shape = iota
	pendingRow       // of a plain pending row, whose other columns are always the same: so it costs a third less
)

// isPlainPending tells whether the row says no more than that its task was enqueued, without tags.
func (r *row) isPlainPending() bool {
	return r.version == pendingVersion && r.run == 1 && r.attempt == 0 && r.retries == 0 && r.state == statePending &&
		r.tags == "" && r.worker == "" && r.result == "" && r.err == "" && r.started.IsZero() && r.ended.IsZero()
}

// marks are the parameters' places of one row.
func (s shape) marks() string {
	if s == pendingRow {
		return fmt.Sprintf("(?, ?, ?, '%s', %d, 1, 0, 0, ?, ?, '', '', '', '', ?, '%s', ?, NULL, NULL)", statePending, pendingVersion, room)
	}
	return "(" + marks(len(columns)) + ")"
}

// values appends the row's parameters.
func (s shape) values(r *row, list []any) []any {
	if s == pendingRow {
		return append(list, r.id, r.task, r.queue, r.maxRetries, r.args, r.request, r.at)
	}
	return r.values(list)
}

func (r *row) values(list []any) []any {
	var started, ended any
	if !r.started.IsZero() {
		started = r.started
	}
	if !r.ended.IsZero() {
		ended = r.ended
	}
	taken := room
	if r.hasEnded() {
		taken = ""
	}
	return append(list, r.id, r.task, r.queue, r.state, r.version, r.run, r.attempt, r.retries, r.maxRetries, r.args, r.result,
		r.err, r.worker, r.tags, r.request, taken, r.at, started, ended)
}

// upsert is the statement that merges n rows of a shape into the table: what merge does, in SQL. $x is the column of the row that
// comes, x that of the row which is there. MySQL assigns from left to right: what a condition reads is assigned after it.
func upsert(d dialect, of shape, n int) string {
	const (
		later = "created_at < $created_at"
		same  = "created_at = $created_at"
		newer = "(" + later + " OR " + same + " AND version <= $version)"
		began = "($started_at IS NOT NULL AND (started_at IS NULL OR started_at <= $started_at))"
	)
	var assign []string
	set := func(column, condition string) {
		assign = append(assign, column+" = CASE WHEN "+strings.ReplaceAll(condition, "?", column)+" THEN $"+column+" ELSE "+column+" END")
	}
	for _, column := range []string{"task", "queue", "state", "run", "attempt", "retries", "max_retries", "result", "error", "room", "finished_at"} {
		set(column, newer)
	}
	for _, column := range []string{"args", "tags", "request_id"} {
		set(column, later+" OR "+same+" AND $? <> '' AND (version <= $version OR ? = '')")
	}
	set("worker", later+" OR "+same+" AND $? <> '' AND (? = '' OR started_at IS NULL OR "+began+")")
	set("started_at", later+" OR "+same+" AND "+began)
	set("version", newer)
	set("created_at", later)

	one := of.marks()
	statement := "INSERT INTO paidui_task_records (" + strings.Join(columns, ", ") + ") VALUES " +
		strings.Repeat(one+", ", n-1) + one + d.onConflict + strings.Join(assign, ", ")
	for _, column := range columns {
		statement = strings.ReplaceAll(statement, "$"+column+" ", d.coming(column)+" ")
		statement = strings.ReplaceAll(statement, "$"+column+")", d.coming(column)+")")
	}
	return statement
}

// dialect is where the two databases differ.
type dialect struct {
	local      bool                       // the database is in this process
	writers    int                        // of a Writer that may work at the same time
	begin      []string                   // begin a transaction
	onConflict string                     // goes before the assignments, where the key is task_id
	countTaken string                     // the same for the key of paidui_failure_counts
	coming     func(column string) string // value of the row that comes
	forUpdate  string                     // goes behind a SELECT whose rows are to be locked
	ignore     string                     // of INSERT, to let a row be that is there
	kindIndex  string                     // the hint that names idx_task_records_kind
}

var (
	mysqlDialect = dialect{
		writers: 2,
		// Repeatable reads would lock the gaps between rows, which other writers insert into.
		begin:      []string{"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION"},
		onConflict: " ON DUPLICATE KEY UPDATE ",
		countTaken: " ON DUPLICATE KEY UPDATE ",
		coming:     func(column string) string { return "VALUES(" + column + ")" }, // MariaDB has no other word for it
		forUpdate:  " FOR UPDATE",
		ignore:     "INSERT IGNORE",
		kindIndex:  "FORCE INDEX (idx_task_records_kind)",
	}
	sqliteDialect = dialect{
		local:      true,
		writers:    1,
		begin:      []string{"BEGIN IMMEDIATE"},
		onConflict: " ON CONFLICT (task_id) DO UPDATE SET ",
		countTaken: " ON CONFLICT (span, at, error_group, task, queue, version) DO UPDATE SET ",
		coming:     func(column string) string { return "excluded." + column },
		ignore:     "INSERT OR IGNORE",
		kindIndex:  "INDEXED BY idx_task_records_kind",
	}
)
