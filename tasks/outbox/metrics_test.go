package outbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks/outbox"
)

func TestMetrics(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		reg := prometheus.NewPedanticRegistry()
		ob := s.outboxWith(t, outbox.Options{Logger: testenv.Quiet(), Registerer: reg})
		ob.SweepAll()
		require.NoError(t, reg.Register(outbox.NewBacklog(s.db, testenv.Quiet())))
		_, err := outbox.New(s.db, s.client, outbox.Options{Registerer: reg})
		require.Error(t, err, "the counters are registered already")
		expect := func(want string) {
			t.Helper()
			names := []string{"paidui_outbox_rows", "paidui_outbox_sent_total", "paidui_outbox_resent_total", "paidui_outbox_failed_total"}
			require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(want), names...))
		}
		oldest := func() float64 {
			t.Helper()
			families, err := reg.Gather()
			require.NoError(t, err)
			for _, f := range families {
				if f.GetName() == "paidui_outbox_oldest_seconds" {
					return f.GetMetric()[0].GetGauge().GetValue()
				}
			}
			require.Fail(t, "no age")
			return 0
		}
		figures := func(waiting, sent, failed, sentTotal, resentTotal, failedTotal string) string {
			return `# HELP paidui_outbox_failed_total Tasks that this process has given up, because they can't be sent.
# TYPE paidui_outbox_failed_total counter
paidui_outbox_failed_total ` + failedTotal + `
# HELP paidui_outbox_resent_total Tasks that this process has sent again, because Redis had lost them.
# TYPE paidui_outbox_resent_total counter
paidui_outbox_resent_total ` + resentTotal + `
# HELP paidui_outbox_rows Tasks in the outbox, by state, counted up to 100,000.
# TYPE paidui_outbox_rows gauge
paidui_outbox_rows{state="failed"} ` + failed + `
paidui_outbox_rows{state="sent"} ` + sent + `
paidui_outbox_rows{state="waiting"} ` + waiting + `
# HELP paidui_outbox_sent_total Tasks that this process has sent from the outbox to Redis.
# TYPE paidui_outbox_sent_total counter
paidui_outbox_sent_total ` + sentTotal + `
`
		}
		expect(figures("0", "0", "0", "0", "0", "0"))
		require.Zero(t, oldest())

		for n := range 3 {
			s.enqueue(t, n)
		}
		bad := s.enqueue(t, 3).ID()
		require.NoError(t, s.db.Model(&models.OutboxRow{}).Where("task_id = ?", bad).Update("body", "").Error)
		require.NoError(t, s.db.Model(&models.OutboxRow{}).Where("1 = 1").Update("created_at", time.Now().Add(-time.Minute)).Error)
		expect(figures("4", "0", "0", "0", "0", "0"))
		require.InDelta(t, 60, oldest(), 30)

		require.NoError(t, ob.SendAll(t.Context()))
		expect(figures("0", "3", "1", "3", "0", "1"))
		require.Zero(t, oldest())

		require.NoError(t, s.broker.Redis().FlushAll(t.Context()).Err())
		require.NoError(t, ob.Sweep(t.Context()))
		expect(figures("0", "3", "1", "3", "3", "1"))
	})
}
