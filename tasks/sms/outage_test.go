package sms

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
)

// TestAMessageWaitsForTheDatabase for as long as its code lives, and then says that the code has expired.
func TestAMessageWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	for name, expired := range map[string]bool{"that comes back in time": false, "that does not": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(testenv.MySQL(t))
			require.NoError(t, err)
			way := testenv.NewProxy(t, u.Host)
			u.Host = way.Addr
			db := openDB(t, u.String())
			broker := testenv.RedisURL(t)
			codes, cache := testCodes(t, broker, Limits{})
			sender := &scripted{}
			startWorker(t, broker, db, cache, sender)
			setCode(t, cache, "123456")
			way.Away(true)
			task, err := Send.Enqueue(t.Context(), codes.client, SendArgs{Mobile: testMobile}, tasks.MaxRetries(0))
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				info, err := codes.client.Info(t.Context(), task.ID())
				return err == nil && len(info.Attempts) >= 2 && !info.State.Final()
			}, time.Minute, 20*time.Millisecond)
			require.Empty(t, sender.sent())

			if expired {
				require.NoError(t, cache.Del(t.Context(), codeKey(testMobile)).Err())
				info := wait(t, codes.client, task.ID())
				require.Equal(t, tasks.StateFailure, info.State)
				require.Equal(t, testMobile+sendFailed+errCodeGone.Error(), info.Error)
				require.Empty(t, sender.sent())
				return
			}
			way.Away(false)
			info := wait(t, codes.client, task.ID())
			require.Equal(t, tasks.StateSuccess, info.State, info.Error)
			require.Zero(t, info.Retries)
			require.Len(t, sender.sent(), 1)
		})
	}
}

// TestAMessageWaitsForTheCache which has its code.
func TestAMessageWaitsForTheCache(t *testing.T) {
	t.Parallel()
	broker, server := testenv.RedisURL(t), testenv.Redis(t)
	way := testenv.NewProxy(t, server.Addr)
	codes, _ := testCodes(t, broker, Limits{})
	cache := testCache(t, way.URL(0))
	setCode(t, cache, "123456")
	sender := &scripted{}
	startWorker(t, broker, openDB(t, testenv.MySQL(t)), cache, sender)
	way.Away(true)
	task, err := Send.Enqueue(t.Context(), codes.client, SendArgs{Mobile: testMobile}, tasks.MaxRetries(0))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := codes.client.Info(t.Context(), task.ID())
		return err == nil && len(info.Attempts) >= 2 && !info.State.Final()
	}, time.Minute, 20*time.Millisecond)
	way.Away(false)
	info := wait(t, codes.client, task.ID())
	require.Equal(t, tasks.StateSuccess, info.State, info.Error)
	require.Len(t, sender.sent(), 1)
}
