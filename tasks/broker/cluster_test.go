package broker_test

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
		"outcomes":              enqueueOutcomes,
		"queues are listed":     queuesAreListed,
		"gate replies":          gateReplies,
		"gate with keys":        gateWithKeys,
		"revoke what waits":     revokeWhatWaits,
		"revoke what does not":  revokeWhatRunsOrHasEnded,
		"revoke by tag":         revokeTag,
		"rerun what failed":     rerunOfAFailedTask,
		"rerun what is revoked": rerunOfARevokedTask,
		"rerun dead letters":    rerunDead,
		"pages of dead letters": deadPages,
		"forget":                forget,
		"chosen ids":            chosenIDs,
		"claim left behind":     claimLeftBehind,
		"queue stats":           queueStats,
		"pause":                 pause,
		"purge":                 purgeEachState,
		"full queues":           fullQueues,
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, brokertest.Open(t, url).Redis().FlushAll(t.Context()).Err())
			test(t, url)
		})
	}
}
