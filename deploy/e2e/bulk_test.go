package e2e

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
)

// TestABulkRunSurvivesCrashes has thousands of failed tasks run again. The API that was asked is killed as soon as it has answered,
// and the worker that does it in the middle. Each task runs once more, and no more.
func TestABulkRunSurvivesCrashes(t *testing.T) {
	databaseURL := testenv.MySQL(t)
	c := startClusterOn(t, databaseURL)
	db, err := models.Open(t.Context(), databaseURL, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = models.Close(db) })
	const n, batch = 8000, 1000
	survivor := c.apis[1].url
	for first := 0; first < n; first += batch {
		tasks := make([]map[string]any, batch)
		for i := range tasks { // each is beyond 64 bits
			tasks[i] = map[string]any{"task": "demo.add", "args": map[string]any{"n": math.MaxInt64, "m": first + i + 1}}
		}
		must(t, http.MethodPost, c.apis[0].url+"/v1/tasks/batch", operatorKey, map[string]any{"tasks": tasks})
	}
	count := func(condition string) (rows int64) {
		require.NoError(t, db.Model(&models.TaskRecord{}).Where("task = 'demo.add' AND "+condition).Count(&rows).Error)
		return rows
	}
	require.Eventually(t, func() bool { return count("state = 'FAILURE'") == n }, 3*time.Minute, 100*time.Millisecond)

	var failures struct {
		Failures []struct {
			ErrorGroup string `json:"error_group"`
			Count      int
		}
	}
	must(t, http.MethodGet, survivor+"/v1/failures?window=1h&task=demo.add", operatorKey, nil).into(t, &failures)
	require.Len(t, failures.Failures, 1)
	require.Equal(t, n, failures.Failures[0].Count)
	id := must(t, http.MethodPost, c.apis[0].url+"/v1/bulk", operatorKey, map[string]any{
		"action": "retry", "filter": map[string]any{"error_group": failures.Failures[0].ErrorGroup},
	}).TaskID
	c.apis[0].kill(t)

	var run struct {
		State    string
		LookedAt int `json:"looked_at"`
		Done     int
		Skipped  int
		Failed   int
		Error    string
	}
	look := func() {
		must(t, http.MethodGet, survivor+"/v1/bulk/"+id, operatorKey, nil).into(t, &run)
	}
	require.Eventually(t, func() bool {
		look()
		return run.LookedAt > 0
	}, time.Minute, 5*time.Millisecond)
	var task struct{ Worker string }
	must(t, http.MethodGet, survivor+"/v1/tasks/"+id, operatorKey, nil).into(t, &task)
	killed := false
	for _, w := range c.workers {
		if strings.HasSuffix(task.Worker, fmt.Sprint(":", w.cmd.Process.Pid)) {
			w.kill(t)
			killed = true
			break
		}
	}
	require.True(t, killed, "the worker %q", task.Worker)
	look()
	t.Logf("the worker was killed after %d tasks", run.Done)

	require.Eventually(t, func() bool {
		look()
		return run.State != "PENDING" && run.State != "STARTED"
	}, 3*time.Minute, 100*time.Millisecond)
	require.Equal(t, []any{"SUCCESS", n, 0, 0, ""}, []any{run.State, run.Done, run.Skipped, run.Failed, run.Error})
	require.EqualValues(t, n, count("run >= 2"))
	var queue struct{ Dead int }
	require.Eventually(t, func() bool {
		must(t, http.MethodGet, survivor+"/v1/queues/default", operatorKey, nil).into(t, &queue)
		return queue.Dead == n
	}, 3*time.Minute, 100*time.Millisecond, "all have failed once more")
	require.Zero(t, count("run > 2"), "nothing is done twice")
}
