package history

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
)

// TestPagesOfAMillionRecords holds, on a table of a million records, what package history says of its searches: which
// index serves them, that nothing is sorted, and that a page, the first as well as a deep one, reads no more than a page
// of each kind.
func TestPagesOfAMillionRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a table of a million rows")
	}
	t.Parallel()
	server, err := testenv.StartMariaDB("--innodb-buffer-pool-size=512M", "--loose-innodb-log-file-size=512M", "--loose-innodb-redo-log-capacity=1G",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0")
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	databaseURL, err := server.Database(t.Context(), "million")
	require.NoError(t, err)
	db := migrated(t, databaseURL)
	pool, err := db.DB()
	require.NoError(t, err)
	pool.SetMaxOpenConns(1) // the counters are those of a connection
	pool.SetConnMaxLifetime(0)
	fill(t, db)
	s := store(t, db)
	s.now = func() time.Time { return epoch } // so that no record is stale

	const limit = 20
	deep := epoch.Add(500 * time.Second) // half of the records are newer
	for _, c := range []struct {
		name  string
		query Query
		kinds int // that the search merges at most
		tag   bool
	}{
		{"all", Query{}, 40, false},
		{"since and until", Query{Since: epoch.Add(100 * time.Second), Until: epoch.Add(900 * time.Second)}, 40, false},
		{"state of most", Query{State: tasks.StateSuccess}, 10, false},
		{"state of few", Query{State: tasks.StateFailure}, 10, false},
		{"task", Query{Task: "task-1"}, 8, false},
		{"queue", Query{Queue: "queue-1"}, 20, false},
		{"task and state", Query{Task: "task-1", State: tasks.StateRevoked}, 2, false},
		{"queue and state", Query{Queue: "queue-1", State: tasks.StateFailure}, 5, false},
		{"task and queue", Query{Task: "task-1", Queue: "queue-1"}, 4, false},
		{"task, queue and state", Query{Task: "task-1", Queue: "queue-1", State: tasks.StateSuccess}, 1, false},
		{"tag of few", Query{Tag: "few"}, 1, true},
		{"tag of many", Query{Tag: "many"}, 1, true},
	} {
		c.query.Limit = limit
		for name, after := range map[string]place{"first page": {}, "deep page": {deep, "m"}} {
			t.Run(c.name+", "+name, func(t *testing.T) {
				q := c.query
				if after.id != "" {
					q.Cursor = q.cursor(after)
				}
				explain(t, s, q, after)
				require.NoError(t, db.Exec("FLUSH STATUS").Error)
				begun := time.Now()
				page, err := s.Search(t.Context(), q)
				took := time.Since(begun)
				require.NoError(t, err)
				require.Len(t, page.Tasks, limit)
				for _, info := range page.Tasks {
					require.True(t, after.id == "" || !info.EnqueuedAt.After(deep))
				}
				read := reads(t, db)
				// Each kind gives a page of entries, which are read again from where the union is put; a leap finds a kind.
				require.LessOrEqual(t, read, c.kinds*(limit+1)*3+40*3+3*limit, "rows read")
				t.Logf("%d rows read in %v", read, took.Round(10*time.Microsecond))
			})
		}
	}
	t.Run("tag and state", func(t *testing.T) {
		require.NoError(t, db.Exec("FLUSH STATUS").Error)
		page, err := s.Search(t.Context(), Query{Tag: "many", State: tasks.StateLost, Limit: limit})
		require.NoError(t, err)
		require.NotEmpty(t, page.Next)
		require.LessOrEqual(t, reads(t, db), 3*lookMost)
	})
}

// fill makes a million records over a thousand seconds, of five tasks on two queues each: nine of ten have succeeded, and
// the other states are rare.
func fill(t *testing.T, db *gorm.DB) {
	t.Helper()
	begun := time.Now()
	const digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5" +
		" UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
	require.NoError(t, db.Exec("CREATE TABLE numbers (n int PRIMARY KEY)").Error)
	require.NoError(t, db.Exec("INSERT INTO numbers SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 100000 * g.d FROM "+
		digits+" a, "+digits+" b, "+digits+" c, "+digits+" e, "+digits+" f, "+digits+" g").Error)
	at := func(n string) string { // twenty of a moment
		return fmt.Sprintf("'%s' + INTERVAL (%s DIV 20) * 20000 MICROSECOND", epoch.Format(time.DateTime), n)
	}
	// In the order of the primary key, which takes a third of the time.
	require.NoError(t, db.Exec(`INSERT INTO paidui_task_records (task_id, task, queue, state, version, run, attempt, retries, max_retries,
			args, result, error, worker, tags, request_id, room, created_at, started_at, finished_at)
		SELECT CONCAT('k-', LPAD(n, 8, '0')), CONCAT('task-', n MOD 5), CONCAT('queue-', n DIV 5 MOD 2),
			CASE WHEN n MOD 1000 < 900 THEN 'SUCCESS' WHEN n MOD 1000 < 950 THEN 'FAILURE' WHEN n MOD 1000 < 990 THEN 'REVOKED' ELSE 'LOST' END,
			1, 1, 1, 0, 3, '{"n":10,"m":20}', '30', '', 'worker-1', IF(n MOD 100 = 0, 'few many', 'many'), '', '',
			`+at("n")+`, NULL, NULL
		FROM numbers ORDER BY n`).Error)
	for tag, every := range map[string]int{"few": 100, "many": 4} {
		require.NoError(t, db.Exec("INSERT INTO paidui_task_tags SELECT ?, "+at("n")+", CONCAT('k-', LPAD(n, 8, '0')) FROM numbers WHERE n MOD ? = 0 ORDER BY n", tag, every).Error)
	}
	require.NoError(t, db.Exec("ANALYZE TABLE paidui_task_records, paidui_task_tags").Error)
	t.Logf("filled in %v", time.Since(begun).Round(time.Millisecond))
}

// reads is how many rows and index entries the connection has read since FLUSH STATUS.
func reads(t *testing.T, db *gorm.DB) (sum int) {
	t.Helper()
	var counters []struct {
		VariableName string `gorm:"column:Variable_name"`
		Value        int
	}
	require.NoError(t, db.Raw("SHOW SESSION STATUS LIKE 'Handler_read%'").Scan(&counters).Error)
	for _, c := range counters {
		sum += c.Value
	}
	return sum
}

// explain checks the plans of the statements behind a search.
func explain(t *testing.T, s *Store, q Query, after place) {
	t.Helper()
	in := span{after, &q}
	if q.Tag != "" {
		statement, params := byTag.statement(q.Tag, in, q.Limit+1)
		requirePlan(t, s.db, statement, params, "paidui_task_tags", "PRIMARY")
		return
	}
	statement, params := kindsStatement(s.table.dialect, q.Task)
	for _, step := range requirePlan(t, s.db, statement, params, "paidui_task_records", "idx_task_records_kind") {
		require.Contains(t, step.Extra, "Using index for group-by", "the kinds are found by leaps")
	}
	kinds, err := s.kinds(t.Context(), q.Task)
	require.NoError(t, err)
	var allowed []kind
	for _, k := range kinds {
		if q.allows(k) {
			allowed = append(allowed, k)
		}
	}
	require.NotEmpty(t, allowed)
	statement, params = newestStatement(s.table.dialect, allowed, in, q.Limit+1)
	for _, step := range requirePlan(t, s.db, statement, params, "paidui_task_records", "idx_task_records_kind") {
		require.Contains(t, step.Extra, "Using index", "the rows are not touched")
	}
}

type planStep struct {
	Table, Key, Extra string
}

// requirePlan returns the steps on a table, each of which must use the key, and sort nothing.
func requirePlan(t *testing.T, db *gorm.DB, statement string, params []any, table, key string) (on []planStep) {
	t.Helper()
	var steps []planStep
	require.NoError(t, db.Raw("EXPLAIN FORMAT=TRADITIONAL "+statement, params...).Scan(&steps).Error)
	for _, step := range steps {
		require.NotContains(t, step.Extra, "filesort", "%+v", steps)
		if step.Table == table {
			require.Equal(t, key, step.Key, "%+v", steps)
			on = append(on, step)
		} else {
			require.True(t, strings.HasPrefix(step.Table, "<") || step.Table == "", "%+v", steps)
		}
	}
	require.NotEmpty(t, on)
	return on
}
