package metrics_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/metrics"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestQueues(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	client := tasks.NewClient(b)
	for _, level := range []tasks.PriorityLevel{tasks.High, tasks.Low, tasks.Normal} {
		_, err := job.Enqueue(t.Context(), client, none{}, tasks.Queue("low"), tasks.Priority(level))
		require.NoError(t, err)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(metrics.NewQueues(b, testenv.Quiet()))
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, families, 5)
	n, err := testutil.GatherAndCount(reg, "paidui_queue_tasks")
	require.NoError(t, err)
	require.Equal(t, 6, n)
	n, err = testutil.GatherAndCount(reg, "paidui_queue_workers")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = testutil.GatherAndCount(reg, "paidui_tasks_taken_over_total")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	n, err = testutil.GatherAndCount(reg, "paidui_queue_faults_total")
	require.NoError(t, err)
	require.Equal(t, 5, n)
	sizes := map[string]float64{}
	for _, metric := range families[2].GetMetric() {
		require.Equal(t, "set", metric.GetLabel()[1].GetName())
		sizes[metric.GetLabel()[1].GetValue()] = metric.GetGauge().GetValue()
	}
	require.Equal(t, map[string]float64{"pending": 3, "active": 0, "scheduled": 0, "retry": 0, "archived": 0, "completed": 0}, sizes)
}
