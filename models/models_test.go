package models_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

func TestMain(m *testing.M) {
	// gorm starts it for the statements of each PrepareStmt session and has no way to end it.
	testenv.Main(m, goleak.IgnoreTopFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1"))
}

// opening is when a sale begins; MySQL refuses the zero time.
var opening = time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)

// open opens the URL for the test.
func open(t *testing.T, databaseURL string, opt models.Options) *gorm.DB {
	t.Helper()
	db, err := models.Open(t.Context(), databaseURL, opt)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	return db
}

// eachDatabase runs the test on an empty database of every kind.
func eachDatabase(t *testing.T, test func(t *testing.T, databaseURL string)) {
	t.Helper()
	for name, databaseURL := range map[string]func() string{
		"mysql":         func() string { return testenv.MySQL(t) },
		"sqlite file":   func() string { return "sqlite://" + filepath.Join(t.TempDir(), "a b%41", "paidui.db") },
		"sqlite memory": func() string { return "sqlite://:memory:" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, databaseURL())
		})
	}
}

// allModels are Paidui's and the shop's.
func allModels() []any { return append(shop.All(), models.All()...) }

func eachMigrated(t *testing.T, test func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		db := open(t, databaseURL, models.Options{})
		require.NoError(t, shop.Migrate(t.Context(), db))
		test(t, db)
	})
}

// together runs n calls at once and returns their errors.
func together(n int, call func(i int) error) []error {
	errs := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { errs[i] = call(i) })
	}
	group.Wait()
	return errs
}

// logTo returns a logger of all levels and what it has written; read it when nothing writes any more.
func logTo() (*slog.Logger, func() string) {
	var mu sync.Mutex
	var text bytes.Buffer
	write := writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(p)
	})
	logger := slog.New(slog.NewTextHandler(write, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return logger, func() string {
		mu.Lock()
		defer mu.Unlock()
		return text.String()
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// admin runs one statement on the server of databaseURL.
func admin(t *testing.T, databaseURL, statement string) {
	t.Helper()
	db := open(t, databaseURL, models.Options{})
	require.NoError(t, db.WithContext(context.WithoutCancel(t.Context())).Exec(statement).Error)
}

// withDatabase replaces the database at the end of a URL.
func withDatabase(databaseURL, name string) string {
	return databaseURL[:strings.LastIndex(databaseURL, "/")+1] + name
}
