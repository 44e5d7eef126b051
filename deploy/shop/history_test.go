package shop

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
)

// TestTheHistoryIsWrittenBeforeTheEnd stops a program as soon as a task has ended: its record is there. With the history
// off, nothing of it runs.
func TestTheHistoryIsWrittenBeforeTheEnd(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		t.Run(fmt.Sprint(on), func(t *testing.T) {
			t.Parallel()
			database := "sqlite://" + filepath.Join(t.TempDir(), "paidui.db")
			app, cfg := load(t, config.Local, []string{
				fmt.Sprintf("PAIDUI_HTTP_ADDR=127.0.0.1:%d", testenv.FreePort(t)),
				fmt.Sprintf("PAIDUI_ADMIN_ADDR=127.0.0.1:%d", testenv.FreePort(t)),
				"PAIDUI_DATABASE_URL=" + database,
				"PAIDUI_SCHEDULES=" + filepath.Join("..", "schedules.yaml"),
				"PAIDUI_LOG_LEVEL=error",
				"PAIDUI_OPERATOR_KEY=" + operatorKey,
				fmt.Sprintf("PAIDUI_HISTORY=%v", on),
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var out output
			ended := make(chan error, 1)
			go func() { ended <- boot.Local(ctx, app, cfg, &out) }()
			api := "http://" + cfg.HTTPAddr
			require.Eventually(t, func() bool { return strings.Contains(out.String(), "ready") }, 20*time.Second, 20*time.Millisecond)

			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/v1/tasks",
				strings.NewReader(`{"task":"demo.add","args":{"n":1,"m":2},"id":"once"}`))
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+operatorKey)
			req.Header.Set("Content-Type", "application/json")
			require.Contains(t, answerOf(t, req), `"task_id":"once"`)
			req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, api+"/v1/tasks/once?wait=20s", nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+operatorKey)
			require.Contains(t, answerOf(t, req), `"result":3`)
			req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+cfg.AdminAddr+"/metrics", nil)
			require.NoError(t, err)
			metrics := answerOf(t, req)
			for _, metric := range []string{"paidui_history_buffered ", "paidui_history_waiting 0", "paidui_history_settled_total{"} {
				require.Equal(t, on, strings.Contains(metrics, metric), metric)
			}
			cancel()
			require.NoError(t, <-ended)

			db, err := models.Open(t.Context(), database, models.Options{})
			require.NoError(t, err)
			defer func() { require.NoError(t, models.Close(db)) }()
			var records []models.TaskRecord
			require.NoError(t, db.Find(&records, "task_id = ?", "once").Error)
			if !on {
				require.Empty(t, records)
				return
			}
			require.Len(t, records, 1)
			require.Equal(t, []string{"SUCCESS", `{"n":1,"m":2}`, "3"}, []string{records[0].State, records[0].Args, records[0].Result})
			require.NotNil(t, records[0].FinishedAt)
			require.NotEmpty(t, records[0].Worker)
		})
	}
}
