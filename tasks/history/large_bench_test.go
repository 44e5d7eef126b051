package history

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/errorgroup"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// BenchmarkLargeHistory measures pages of searches for words, and of failures, on a table of a million records of about 400 bytes, or of
// as many as PAIDUI_BENCH_ROWS says; a tenth of them are failures, in twenty groups. The counts of failures are as many as there can
// be. Ten million take six gigabytes:
//
//	PAIDUI_BENCH_ROWS=10000000 go test -run none -bench BenchmarkLargeHistory -benchtime 20x -timeout 30m ./tasks/history
func BenchmarkLargeHistory(b *testing.B) {
	rows := 1_000_000
	if given := os.Getenv("PAIDUI_BENCH_ROWS"); given != "" {
		var err error
		rows, err = strconv.Atoi(given)
		require.NoError(b, err)
	}
	server, err := testenv.StartMariaDB("--innodb-buffer-pool-size=2G", "--loose-innodb-log-file-size=1G", "--innodb-flush-log-at-trx-commit=0",
		"--innodb-doublewrite=0")
	require.NoError(b, err)
	b.Cleanup(server.Stop)
	databaseURL, err := server.Database(b.Context(), "large")
	require.NoError(b, err)
	db := migrated(b, databaseURL)
	begun := time.Now()
	end := fillLarge(b, db, rows)
	b.Logf("%d rows in %v", rows, time.Since(begun).Round(time.Second))
	s, err := NewStore(db, tasks.NewClient(taskstest.Embedded(b)))
	require.NoError(b, err)
	s.now = func() time.Time { return end }
	group, _ := groupOf("connection to shard 0 of kind h was refused")

	for _, c := range []struct {
		name  string
		query Query
	}{
		{"without words", Query{}},
		{"word of each", Query{Text: "customer"}},
		{"word of one in a hundred", Query{Text: "needle-of-many"}},
		{"phrase of a failure in two hundred", Query{Text: `"of kind h was refused"`}},
		{"phrase of a failure, with the state", Query{Text: `"of kind h was refused"`, State: tasks.StateFailure}},
		{"word of none, page that ends early", Query{Text: "nowhere"}},
		{"word of none, with task and state", Query{Text: "nowhere", Task: "task-1", State: tasks.StateSuccess}},
		{"error group", Query{ErrorGroup: group}},
		{"error group and word of none", Query{ErrorGroup: group, Text: "nowhere"}},
	} {
		b.Run("search, "+c.name, func(b *testing.B) {
			q, found := c.query, 0
			for b.Loop() {
				page, err := s.Search(b.Context(), q)
				require.NoError(b, err)
				found += len(page.Tasks)
				q.Cursor = page.Next // deeper and deeper
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/page")
			b.ReportMetric(float64(found)/float64(b.N), "tasks/page")
		})
	}
	for _, window := range Windows() {
		b.Run("failures, "+window.String(), func(b *testing.B) {
			for b.Loop() {
				page, err := s.Failures(b.Context(), FailureQuery{Window: window})
				require.NoError(b, err)
				require.Len(b, page.Groups, DefaultLimit)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/page")
		})
	}
	b.Run("count in place of counts, 168h", func(b *testing.B) { // what a list of failures without counts would have to do
		for b.Loop() {
			var groups []struct {
				ErrorGroup string
				Failures   int64
			}
			require.NoError(b, db.Raw("SELECT error_group, COUNT(*) AS failures FROM paidui_task_failures GROUP BY error_group ORDER BY failures DESC LIMIT 20").Scan(&groups).Error)
			require.Len(b, groups, 20)
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/page")
	})
}

// fillLarge makes rows of a week, and returns its end.
func fillLarge(b *testing.B, db *gorm.DB, rows int) (end time.Time) {
	b.Helper()
	const part, kinds = 250_000, "abcdefghijklmnopqrst"
	end = time.Now().UTC().Truncate(time.Hour)
	week := 7 * 24 * time.Hour
	begin := end.Add(-week)
	step := week.Microseconds() / int64(rows)
	for first := 0; first < rows; first += part {
		n := min(part, rows-first)
		at := fmt.Sprintf("'%s' + INTERVAL seq * %d MICROSECOND", begin.Format(time.DateTime), step)
		id := "CONCAT('default_01890000-', LPAD(HEX(seq DIV 65536), 4, '0'), '-', LPAD(HEX(seq MOD 65536), 4, '0'), '-8000-', LPAD(HEX(seq), 12, '0'))"
		failed := "seq MOD 10 = 3"
		require.NoError(b, db.Exec(`INSERT INTO paidui_task_records (task_id, task, queue, state, version, run, attempt, retries, max_retries,
			args, result, error, worker, tags, request_id, room, created_at, started_at, finished_at)
			SELECT `+id+`, CONCAT('task-', seq MOD 7), CONCAT('queue-', seq DIV 7 MOD 2), IF(`+failed+`, 'FAILURE', 'SUCCESS'), 1, 1, 1, 0, 3,
			CONCAT('{"customer":"Customer ', seq, '","address":"Some Street 12, 10115 Berlin","items":[{"sku":"A-', seq MOD 1000, '","n":2},{"sku":"B-17","n":1}],"note":"',
				IF(seq MOD 100 = 0, 'needle-of-many', '排队等候的备注'), '"}'),
			IF(`+failed+`, '', CONCAT('{"invoice":', seq, ',"total":129.90}')),
			IF(`+failed+`, CONCAT('connection to shard ', seq, ' of kind ', SUBSTR('`+kinds+`', seq DIV 10 MOD 20 + 1, 1), ' was refused'), ''),
			'worker-1', '', '', '', `+at+`, `+at+`, `+at+` FROM `+testenv.Numbers(first, first+n-1)).Error)
	}
	var groups strings.Builder
	for _, kind := range kinds {
		group, _ := errorgroup.Of(fmt.Sprintf("connection to shard 1 of kind %c was refused", kind))
		fmt.Fprintf(&groups, " WHEN '%c' THEN '%s'", kind, group)
	}
	require.NoError(b, db.Exec("INSERT INTO paidui_task_failures (task_id, error_group, run, created_at) SELECT task_id,"+
		" CASE SUBSTR(SUBSTRING_INDEX(error, ' of kind ', -1), 1, 1)"+groups.String()+" END, 1, created_at FROM paidui_task_records WHERE state = 'FAILURE'").Error)
	for _, span := range []int{shortSpan, longSpan} {
		starts := int(week.Minutes()) / span
		if span == shortSpan {
			starts = int((24 * time.Hour).Minutes()) / span
		}
		first := end.Add(-time.Duration(starts*span) * time.Minute)
		require.NoError(b, db.Exec(fmt.Sprintf(`INSERT INTO paidui_failure_counts (span, at, error_group, task, queue, version, failures, first_us, last_us, example, error)
			SELECT %d, '%s' + INTERVAL (seq DIV %d) * %d MINUTE, LPAD(HEX(seq MOD %[3]d DIV 4), 16, '0'), CONCAT('task-', seq MOD 4), 'queue-1', 'v1', 1 + seq MOD 7, seq, seq, 'x', 'an error'
			FROM %[5]s`, span, first.Format(time.DateTime), maxCounts, span, testenv.Numbers(0, starts*maxCounts-1))).Error)
	}
	require.NoError(b, db.Exec("ANALYZE TABLE paidui_task_records, paidui_task_failures, paidui_failure_counts").Error)
	return end
}
