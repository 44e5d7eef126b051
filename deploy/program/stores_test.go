package program

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/config"
)

func TestBrokerSwitchesReachItsOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ                []string
		noPipelining, noWakeUp bool
	}{
		{nil, false, false},
		{[]string{"PAIDUI_BROKER_PIPELINING=false"}, true, false},
		{[]string{"PAIDUI_BROKER_WAKE_UP=false"}, false, true},
	} {
		cfg, err := config.Load(config.Scheduler, nil, c.environ, nil)
		require.NoError(t, err)
		o := boot{program: config.Scheduler, config: cfg}.stores(slog.New(slog.DiscardHandler))
		require.Equal(t, c.noPipelining, o.noPipelining, c.environ)
		require.Equal(t, c.noWakeUp, o.noWakeUp, c.environ)
	}
}
