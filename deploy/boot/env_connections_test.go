package boot

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks/broker"
)

func TestWhatDescriptorsAreLeftForClients(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ descriptors, pools, want int }{
		{0, 65, mostConnections},
		{1024, 65, 1024 - 65 - ownDescriptors},
		{1 << 20, 65, 1<<20 - 65 - ownDescriptors},
		{1024, 2000, 512}, // pools that can never be full
		{256, 65, 128},
	} {
		require.Equal(t, c.want, clientDescriptors(c.descriptors, c.pools), c)
	}
}

// TestConnectionLimits makes them of settings, for this process's stores and descriptors.
func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	db, err := models.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "paidui.db"), models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	redis, err := embedded.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(redis.Close)
	b, err := broker.Open(t.Context(), redis.URL(1)+"?pool_size=33", broker.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	own, err := redisx.Connect(t.Context(), "", redis.URL(2)+"?pool_size=44")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.Close()) })
	stores := &Stores{DB: db, Broker: b}
	require.Equal(t, 8+33, stores.poolSizes())

	proxies := config.Networks{netip.MustParsePrefix("10.0.0.0/8")}
	e := &Env{Stores: stores, Config: config.Config{TrustedProxies: proxies}, embedded: &embeddedRedis{}}
	(&Host{env: e}).Connections(RedisConnections(own))
	l, err := e.connectionLimits()
	require.NoError(t, err)
	most := clientDescriptors(Descriptors(), 8+33+44)
	require.Equal(t, min(most, mostConnections), l.Max)
	require.Equal(t, (l.Max+1)/2, l.PerAddress)
	require.EqualValues(t, proxies, l.Exempt)

	e.Config.MaxConnections, e.Config.MaxPerAddress = 100, 10
	l, err = e.connectionLimits()
	require.NoError(t, err)
	require.Equal(t, []int{100, 10}, []int{l.Max, l.PerAddress})
	require.Equal(t, server.Waits{All: 75, Address: 8}, waitLimits(l))

	e.Config.MaxPerAddress = 1000
	l, err = e.connectionLimits()
	require.NoError(t, err)
	require.Equal(t, 100, l.PerAddress, "as many as there may be")

	if Descriptors() > 0 {
		e.Config.MaxConnections = most + 1
		_, err = e.connectionLimits()
		require.ErrorContains(t, err, "PAIDUI_MAX_CONNECTIONS: ")
		require.ErrorContains(t, err, "ulimit -n")
	}
}
