package metrics_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/metrics"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

type none struct{}

var job = tasks.Define[none, string]("test.job", tasks.MaxRetries(0))

// TestSeriesOfWhatHappened: a counter is there from the start, so that its first increase is seen; a histogram, which has
// many series, when there is something in it.
func TestSeriesOfWhatHappened(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	m, err := metrics.NewTasks(registry)
	require.NoError(t, err)
	_, err = metrics.NewTasks(registry)
	require.ErrorContains(t, err, "register task metrics")
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Metrics: m})
	tasks.Handle(mux, job, func(context.Context, none) (string, error) { return "", errors.New("no") })
	count := func(name string) int {
		n, err := testutil.GatherAndCount(registry, name)
		require.NoError(t, err)
		return n
	}
	require.Equal(t, len(tasks.Refusals()), count("paidui_task_attempts_refused_total"))
	require.Equal(t, 3, count("paidui_tasks_ended_total"))
	require.Zero(t, count("paidui_task_duration_seconds"))

	b := taskstest.Embedded(t)
	taskstest.Serve(t, b, mux, "default")
	res, err := job.Enqueue(t.Context(), tasks.NewClient(b), none{})
	require.NoError(t, err)
	_, err = res.Get(testenv.Soon(t))
	require.Error(t, err)
	testenv.Eventually(t, func() bool {
		return testutil.CollectAndCount(registry, "paidui_task_duration_seconds") == 1
	}, "one outcome")
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP paidui_tasks_ended_total Tasks that have ended, by final state.
# TYPE paidui_tasks_ended_total counter
paidui_tasks_ended_total{queue="default",state="FAILURE",task="test.job"} 1
paidui_tasks_ended_total{queue="default",state="REVOKED",task="test.job"} 0
paidui_tasks_ended_total{queue="default",state="SUCCESS",task="test.job"} 0
# HELP paidui_tasks_running Attempts running in this worker.
# TYPE paidui_tasks_running gauge
paidui_tasks_running{queue="default",task="test.job"} 0
`), "paidui_tasks_ended_total", "paidui_tasks_running"))
}

// TestSeries has every number go where its name says.
func TestSeries(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	m, err := metrics.NewTasks(registry)
	require.NoError(t, err)
	s := m.Series("a.b", "low")
	s.Running(1)
	s.Stuck(1)
	s.Stuck(1)
	s.Stuck(-1)
	s.HardTimeout()
	s.Ended(tasks.StateRevoked)
	s.Refused("expired")
	for _, outcome := range tasks.Outcomes() {
		s.Took(outcome, 3*time.Second)
	}
	require.Equal(t, len(tasks.Outcomes()), testutil.CollectAndCount(registry, "paidui_task_duration_seconds"))
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP paidui_task_handlers_stuck Handlers that ignored the end of their context, lost their slot and have not returned.
# TYPE paidui_task_handlers_stuck gauge
paidui_task_handlers_stuck{queue="low",task="a.b"} 1
# HELP paidui_task_hard_timeouts_total Attempts that were ended at their hard time limit.
# TYPE paidui_task_hard_timeouts_total counter
paidui_task_hard_timeouts_total{queue="low",task="a.b"} 1
# HELP paidui_tasks_ended_total Tasks that have ended, by final state.
# TYPE paidui_tasks_ended_total counter
paidui_tasks_ended_total{queue="low",state="FAILURE",task="a.b"} 0
paidui_tasks_ended_total{queue="low",state="REVOKED",task="a.b"} 1
paidui_tasks_ended_total{queue="low",state="SUCCESS",task="a.b"} 0
# HELP paidui_tasks_running Attempts running in this worker.
# TYPE paidui_tasks_running gauge
paidui_tasks_running{queue="low",task="a.b"} 1
`), "paidui_task_handlers_stuck", "paidui_task_hard_timeouts_total", "paidui_tasks_ended_total", "paidui_tasks_running"))
}
