package audit

import (
	"context"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const patience = time.Minute

// eachDatabase runs the test on an empty, migrated database of each kind.
func eachDatabase(t *testing.T, test func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	for name, databaseURL := range map[string]func() string{
		"mysql":  func() string { return testenv.MySQL(t) },
		"sqlite": func() string { return "sqlite://:memory:" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, databaseURL())
			require.NoError(t, models.Migrate(t.Context(), db))
			test(t, db)
		})
	}
}

func open(t *testing.T, databaseURL string) *gorm.DB {
	t.Helper()
	db, err := models.Open(t.Context(), databaseURL, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = models.Close(db) })
	return db
}

// logged is a Log with what it has written into the other log.
func logged(db *gorm.DB) (*Log, *testenv.LogBuffer) {
	buffer := &testenv.LogBuffer{}
	l := New(db, slog.New(slog.NewTextHandler(buffer, nil)))
	l.WaitFor(patience)
	return l, buffer
}

// running is a Log that runs until the test ends.
func running(t *testing.T, db *gorm.DB) (*Log, *testenv.LogBuffer) {
	t.Helper()
	l, buffer := logged(db)
	taskstest.Run(t, l.Run)
	return l, buffer
}

// through is another way to the database, by a proxy.
func through(t *testing.T, databaseURL string) (*gorm.DB, *testenv.Proxy) {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	proxy := testenv.NewProxy(t, u.Host)
	u.Host = proxy.Addr
	return open(t, u.String()), proxy
}

// all reads a search to its end.
func all(t *testing.T, l *Log, q Query) (acts []Act) {
	t.Helper()
	for range 1000 {
		page, err := l.Search(context.Background(), q)
		require.NoError(t, err, "%+v", q)
		acts = append(acts, page.Acts...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return acts
		}
	}
	require.Fail(t, "the pages have no end", "%+v", q)
	return nil
}
