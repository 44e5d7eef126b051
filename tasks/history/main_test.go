package history

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
)

func TestMain(m *testing.M) {
	testenv.RoundsUnderRace(25)
	testenv.AtOnce(6)
	testenv.Main(m)
}

const patience = time.Minute // for what takes a moment on a machine that is not busy

// eachDatabase runs the test on an empty, migrated database of each kind.
func eachDatabase(t *testing.T, test func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	for name, databaseURL := range map[string]func() string{
		"mysql":  func() string { return testenv.MySQL(t) },
		"sqlite": func() string { return "sqlite://:memory:" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, migrated(t, databaseURL()))
		})
	}
}

func migrated(t testing.TB, databaseURL string) *gorm.DB {
	t.Helper()
	db := open(t, databaseURL)
	require.NoError(t, shop.Migrate(t.Context(), db))
	return db
}

func open(t testing.TB, databaseURL string) *gorm.DB {
	t.Helper()
	db, err := models.Open(t.Context(), databaseURL, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = models.Close(db) })
	return db
}

// proxied is a migrated database and another way to it, through a proxy.
func proxied(t *testing.T) (db, through *gorm.DB, proxy *testenv.Proxy) {
	t.Helper()
	databaseURL := testenv.MySQL(t)
	db = migrated(t, databaseURL)
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	proxy = testenv.NewProxy(t, u.Host)
	u.Host = proxy.Addr
	return db, open(t, u.String()), proxy
}

// writer starts a writer that the test may close; otherwise its cleanup does.
func writer(t *testing.T, db *gorm.DB, opt Options) *Writer {
	t.Helper()
	if opt.Logger == nil {
		opt.Logger = testenv.Quiet()
	}
	w, err := NewWriter(db, opt)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = w.Close(ctx)
	})
	return w
}

// enqueued is the record of whoever enqueues; at says when, in milliseconds after a fixed time.
func enqueued(id string, at int) tasks.Record {
	return tasks.Record{
		ID: id, Task: "demo.add", Queue: "default", State: tasks.StatePending, Run: 1, MaxRetries: 3,
		Args: []byte(`{"n":1,"m":2}`), EnqueuedAt: epoch.Add(time.Duration(at) * time.Millisecond), RequestID: "request",
	}
}

// succeeded is the record of the worker that ran it.
func succeeded(id string, at int) tasks.Record {
	r := enqueued(id, at)
	r.State, r.Attempt, r.Result, r.Worker = tasks.StateSuccess, 1, []byte("3"), "worker-1"
	r.StartedAt, r.EndedAt = r.EnqueuedAt.Add(time.Millisecond), r.EnqueuedAt.Add(2*time.Millisecond)
	return r
}

var epoch = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// stored reads the records, by id.
func stored(t require.TestingT, db *gorm.DB) map[string]models.TaskRecord {
	var rows []models.TaskRecord
	require.NoError(t, db.Find(&rows).Error)
	byID := make(map[string]models.TaskRecord, len(rows))
	for _, r := range rows {
		byID[r.TaskID] = r
	}
	return byID
}

func count(t *testing.T, db *gorm.DB, model any) (n int64) {
	t.Helper()
	require.NoError(t, db.Model(model).Count(&n).Error)
	return n
}

// awaitRecords waits until n records are stored.
func awaitRecords(t *testing.T, db *gorm.DB, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return count(t, db, &models.TaskRecord{}) == int64(n) }, patience, 10*time.Millisecond)
}

// logTo is a logger and what it has written.
func logTo() (*slog.Logger, func() string) {
	var mu sync.Mutex
	var text bytes.Buffer
	write := writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(p)
	})
	return slog.New(slog.NewTextHandler(write, nil)), func() string {
		mu.Lock()
		defer mu.Unlock()
		return text.String()
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func idOf(n int) string { return fmt.Sprintf("task-%05d", n) }
