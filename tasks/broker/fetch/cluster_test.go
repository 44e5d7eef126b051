package fetch_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// TestOnACluster runs tests on a Redis Cluster, which takes two seconds to begin.
func TestOnACluster(t *testing.T) {
	t.Parallel()
	url := testenv.RedisCluster(t)
	for name, test := range map[string]func(t *testing.T, url string){
		"late acknowledgements": lateAcknowledgementHasNoEffect,
		"wake-ups":              enqueueWakesAnIdleWorker,
		"takeover":              takeover,
		"who runs a task":       service,
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, brokertest.Open(t, url).Redis().FlushAll(t.Context()).Err())
			test(t, url)
		})
	}
}
