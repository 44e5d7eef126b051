package fetch_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// TestRefusedSubscriptionsDoNotPileUp: asynq's tries to subscribe, and the waiters', leave no connections.
func TestRefusedSubscriptionsDoNotPileUp(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := brokertest.Open(t, brokertest.Limited(t, server, "~*", "+@all", "resetchannels"))
	f := fetch.New(b, fetch.Config{Queues: map[string]int{"q": 1}})
	t.Cleanup(f.Stop)
	f.SetCancelPause(time.Millisecond)
	root := brokertest.Admin(t, server)
	// connections are those that speak of a subscription last.
	connections := func() int {
		list, err := root.Do(t.Context(), "CLIENT", "LIST").Text()
		require.NoError(t, err)
		return strings.Count(list, "cmd=subscribe")
	}
	for range 50 {
		_, err := f.Subscribe(context.Background(), "asynq:cancel").Receive(context.Background())
		require.True(t, redis.IsPermissionError(err), err)
	}
	require.Eventually(t, func() bool { return connections() <= 1 }, brokertest.Patience, 10*time.Millisecond)

	// When the right is given, the next try succeeds.
	brokertest.Limited(t, server, "~*", "+@all", "&*")
	_, err := f.Subscribe(context.Background(), "asynq:cancel").Receive(context.Background())
	require.NoError(t, err)
}
