package shop

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/tasks/ticks"
)

// TestLocalFromAnotherFolder starts it in an empty folder, with everything that it brings itself, and with a file of
// schedules that does not exist.
func TestLocalFromAnotherFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	local := func(ctx context.Context, environ ...string) (*output, chan error) {
		app, cfg := load(t, config.Local, append([]string{
			"PAIDUI_HTTP_ADDR=127.0.0.1:0", "PAIDUI_ADMIN_ADDR=127.0.0.1:0", "PAIDUI_LOG_LEVEL=error",
		}, environ...))
		var out output
		ended := make(chan error, 1)
		go func() { ended <- boot.Local(ctx, app, cfg, &out) }()
		return &out, ended
	}
	missing := filepath.Join(t.TempDir(), "none.yaml")
	_, ended := local(t.Context(), "PAIDUI_SCHEDULES="+missing)
	require.ErrorContains(t, <-ended, "PAIDUI_SCHEDULES: ")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, ended := local(ctx)
	require.Eventually(t, func() bool {
		select {
		case err := <-ended:
			t.Errorf("it ended: %v\n%s", err, out.String())
			return true
		default:
			return len(out.String()) > 0
		}
	}, 2*time.Minute, 20*time.Millisecond)
	require.Contains(t, out.String(), "Paidui is ready")
	require.FileExists(t, filepath.Join(".paidui", "paidui.db"))
	cancel()
	require.NoError(t, <-ended)
}

// TestADurableScheduleOpensTheDatabase: without a durable schedule the scheduler does without it.
func TestADurableScheduleOpensTheDatabase(t *testing.T) {
	t.Parallel()
	r, database := testenv.Redis(t), testenv.MySQL(t)
	file := filepath.Join(t.TempDir(), "schedules.yaml")
	scheduler := func(ctx context.Context, schedule, url, wait string) chan error {
		require.NoError(t, os.WriteFile(file, []byte("schedules:\n  - {name: a, task: demo.add, args: {n: 1, m: 2}, every: 1s"+schedule+"}\n"), 0o600))
		app, cfg := load(t, config.Scheduler, []string{
			"PAIDUI_ADMIN_ADDR=127.0.0.1:0", "PAIDUI_LOG_LEVEL=error", "PAIDUI_BROKER_URL=" + r.URL(1), "PAIDUI_SCHEDULES=" + file,
			"PAIDUI_DATABASE_URL=" + url, "PAIDUI_STARTUP_WAIT=" + wait,
		})
		ended := make(chan error, 1)
		go func() { ended <- boot.Scheduler(ctx, app, cfg) }()
		return ended
	}
	const nowhere = "mysql://root@127.0.0.1:1/none"
	require.ErrorContains(t, <-scheduler(t.Context(), ", durable: true", nowhere, "100ms"), "database")

	db, err := models.Open(t.Context(), database, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, shop.Migrate(t.Context(), db))
	ticked := func() bool {
		var rows int64
		require.NoError(t, db.Model(&models.ScheduleTick{}).Count(&rows).Error)
		return rows == 1
	}
	store := ticks.NewStore(taskstest.Connect(t, r.URL(1)))
	var begun time.Time
	settled := func() bool {
		last, err := store.LastSettled(t.Context(), "a")
		require.NoError(t, err)
		return last.After(begun)
	}
	for _, c := range []struct {
		schedule, url string
		ticked        func() bool
	}{{", durable: true", database, ticked}, {"", nowhere, settled}} {
		ctx, stop := context.WithCancel(t.Context())
		begun = time.Now()
		ended := scheduler(ctx, c.schedule, c.url, "1m")
		require.Eventually(t, c.ticked, time.Minute, 50*time.Millisecond)
		stop()
		require.NoError(t, <-ended)
	}
}
