package history

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
)

// refuse has the database refuse rows of a table for which a condition on NEW holds, for a reason that it does not tell.
func refuse(t *testing.T, db *gorm.DB, name, table, condition string) {
	t.Helper()
	statement := "CREATE TRIGGER " + name + " BEFORE INSERT ON " + table + " WHEN " + condition + " BEGIN SELECT RAISE(ABORT, 'hunter2'); END"
	if db.Name() == "mysql" {
		statement = "CREATE TRIGGER " + name + " BEFORE INSERT ON " + table + " FOR EACH ROW BEGIN IF " + condition +
			" THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'hunter2'; END IF; END"
	}
	require.NoError(t, db.Exec(statement).Error)
}

func large(id string, at int) tasks.Record {
	r := succeeded(id, at)
	r.Args = []byte(`"` + strings.Repeat("x", 200<<10) + `"`)
	return r
}

const tooLarge = `"left out, for the database refuses it: larger than max_allowed_packet"`

// TestARecordLargerThanAPacketGoesAside runs on a server that takes statements of 128 KiB.
func TestARecordLargerThanAPacketGoesAside(t *testing.T) {
	t.Parallel()
	server, err := testenv.StartMariaDB("--max-allowed-packet=131072")
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	databaseURL, err := server.Database(t.Context(), "small")
	require.NoError(t, err)
	db := migrated(t, databaseURL)
	logger, logged := logTo()
	w := writer(t, db, Options{Logger: logger})
	for i := range 1500 {
		switch i {
		case 0, 700, 1499:
			w.Record(large(idOf(i), i))
		default:
			w.Record(succeeded(idOf(i), i))
		}
	}
	open := waitingTasks(128, time.Now())
	open[9].Args = large("", 0).Args
	for _, r := range open {
		w.Record(r)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, w.Close(ctx), "nothing is lost: %s", lazy(logged))
	rows := stored(t, db)
	for i := range 1500 {
		r := rows[idOf(i)]
		require.Equal(t, "SUCCESS", r.State)
		switch i {
		case 0, 700, 1499:
			require.Equal(t, []string{tooLarge, tooLarge}, []string{r.Args, r.Result})
			require.Contains(t, logged(), "task_id="+r.TaskID)
		default:
			require.Equal(t, `{"n":1,"m":2}`, r.Args)
		}
	}
	s := newWorld(t, db)
	for i, r := range open {
		found, err := s.Find(t.Context(), r.ID)
		require.NoError(t, err)
		if i == 9 {
			require.JSONEq(t, tooLarge, string(found.Args))
		} else {
			require.JSONEq(t, `{"n":1,"m":2}`, string(found.Args))
		}
	}
	require.EqualValues(t, 4, testutil.ToFloat64(w.metrics.reduced))
	require.Zero(t, testutil.ToFloat64(w.metrics.dropped.WithLabelValues(dropRefused)))
}

// TestWhatTheDatabaseRefusesKeepsNothingBack has rows that are refused whole, and one that is refused in every form.
func TestWhatTheDatabaseRefusesKeepsNothingBack(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		refuse(t, db, "content", "paidui_task_records", "NEW.args LIKE '%poison%'")
		refuse(t, db, "message", "paidui_task_records", "NEW.error LIKE '%poison%'")
		refuse(t, db, "bad", "paidui_task_records", "NEW.task_id = 'bad'")
		logger, logged := logTo()
		w := writer(t, db, Options{Logger: logger})
		for i := range 300 {
			r := succeeded(idOf(i), i)
			switch i {
			case 17:
				r.Args = []byte(`"poison hunter2"`)
			case 117:
				r.State, r.Result, r.Error, r.Tags = tasks.StateFailure, nil, "poison hunter2", []string{"tag"}
			}
			w.Record(r)
		}
		w.Record(succeeded("bad", 0))
		for _, r := range waitingTasks(64, time.Now()) {
			w.Record(r)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		require.NoError(t, w.Close(ctx))
		rows := stored(t, db)
		require.Len(t, rows, 300+64)
		require.NotContains(t, rows, "bad")
		require.Contains(t, rows[idOf(17)].Args, "left out, for the database refuses it")
		require.Equal(t, []string{"FAILURE", "", ""}, []string{rows[idOf(117)].State, rows[idOf(117)].Error, rows[idOf(117)].Tags})
		require.Equal(t, []string{"SUCCESS", `{"n":1,"m":2}`, "3"}, []string{rows[idOf(18)].State, rows[idOf(18)].Args, rows[idOf(18)].Result})
		require.EqualValues(t, 3, testutil.ToFloat64(w.metrics.reduced))
		require.EqualValues(t, 1, testutil.ToFloat64(w.metrics.dropped.WithLabelValues(dropRefused)))
		require.Contains(t, logged(), "which is dropped\" task_id=bad")
		require.NotContains(t, logged(), "hunter2")
	})
}

// TestSettlingGoesOnPastWhatTheDatabaseRefuses has tasks that Redis has forgotten, and a database that does not take it.
func TestSettlingGoesOnPastWhatTheDatabaseRefuses(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		all := waitingTasks(100, epoch)
		bundled(t, w.Store, epoch, all...)
		insert(t, w.Store, enqueued("row", 0))
		refuse(t, db, "bad", "paidui_task_records", fmt.Sprintf("NEW.task_id IN ('%s', 'row')", all[3].ID))
		w.clock = epoch.Add(time.Hour)
		w.convertAll(t)
		require.Empty(t, bundles(t, db))
		_, err := w.settler.round(t.Context())
		require.NoError(t, err)
		rows := stored(t, db)
		require.Len(t, rows, 100)
		require.NotContains(t, rows, all[3].ID)
		require.Equal(t, "LOST", rows[all[4].ID].State)
		require.Equal(t, "PENDING", rows["row"].State)
		require.Equal(t, 1, w.settled(asRefused))
		_, err = w.Prune(t.Context(), LeastAge, nil)
		require.NoError(t, err)
	})
}

// TestSearchAnswersWhenItCannotWriteBack: what Redis says of tasks is shown, and learned again the next time.
func TestSearchAnswersWhenItCannotWriteBack(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		insert(t, w.Store, enqueued("one", 0), enqueued("two", 1))
		refuse(t, db, "every", "paidui_task_records", "NEW.task_id <> ''")
		w.clock = epoch.Add(time.Hour)
		for range 2 {
			page, err := w.Search(t.Context(), Query{})
			require.NoError(t, err)
			require.Len(t, page.Tasks, 2)
			require.Equal(t, tasks.StateLost, page.Tasks[0].State)
			found, err := w.Find(t.Context(), "one")
			require.NoError(t, err)
			require.Equal(t, tasks.StateLost, found.State)
		}
		require.Equal(t, "PENDING", stored(t, db)["one"].State)
	})
}

// TestAnAnswerThatDoesNotComeIsNoFaultOfARow cuts connections while one record after the other is written.
func TestAnAnswerThatDoesNotComeIsNoFaultOfARow(t *testing.T) {
	t.Parallel()
	db, through, proxy := proxied(t)
	logger, logged := logTo()
	w := writer(t, through, Options{Logger: logger})
	for i := range 20 {
		proxy.CutAfter(7 * i)
		w.Record(succeeded(idOf(i), i))
		awaitRecords(t, db, i+1)
		testenv.Eventually(t, func() bool { return testutil.ToFloat64(w.metrics.written) == float64(i+1) }, "the answer came: no other cut hits the row")
	}
	require.NoError(t, w.Close(t.Context()))
	require.Zero(t, testutil.ToFloat64(w.metrics.reduced), logged())
	for id, r := range stored(t, db) {
		require.Equal(t, `{"n":1,"m":2}`, r.Args, id)
	}
}

// lazy is a text that is made when it is shown.
type lazy func() string

func (l lazy) String() string { return l() }
