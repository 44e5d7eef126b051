package redisx_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/redisx"
)

// patience bounds waits that a healthy system ends much earlier.
const patience = 30 * time.Second

func connect(t testing.TB, o *redis.Options) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(o)
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

// TestARefusedSubscriptionLeavesNoConnections: however often it is tried; and it stands once the right is given.
func TestARefusedSubscriptionLeavesNoConnections(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	admin := connect(t, &redis.Options{Addr: server.Addr})
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "limited", "on", ">secret", "~*", "+@all", "resetchannels").Err())
	rdb := connect(t, &redis.Options{Addr: server.Addr, Username: "limited", Password: "secret"})

	var lost, stands atomic.Int32
	messages := make(chan string, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		redisx.Subscription{
			Client: rdb, Channel: "news",
			Subscribed: func() { stands.Add(1) },
			Message:    func(payload string) { messages <- payload },
			Lost: func(err error) {
				if redisx.Refused(err) {
					lost.Add(1)
				}
			},
			Pauses: redisx.Pauses{First: time.Millisecond, Refused: 2 * time.Millisecond},
		}.Run(ctx)
	}()
	const tries = 100
	require.Eventually(t, func() bool { return lost.Load() >= tries }, patience, time.Millisecond)
	list, err := admin.Do(t.Context(), "CLIENT", "LIST").Text()
	require.NoError(t, err)
	require.LessOrEqual(t, strings.Count(list, "user=limited"), 2, list) // one that ends, one that begins
	require.Zero(t, stands.Load())

	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "limited", "&news").Err())
	require.Eventually(t, func() bool { return stands.Load() == 1 }, patience, time.Millisecond)
	require.NoError(t, rdb.Publish(t.Context(), "news", "hello").Err())
	require.Equal(t, "hello", <-messages)
	cancel()
	<-ended
}

func TestASubscriptionSurvivesItsServer(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	rdb := connect(t, &redis.Options{Addr: server.Addr})
	var stands, lost atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		redisx.Subscription{
			Client: rdb, Channel: "news",
			Subscribed: func() { stands.Add(1) },
			Message:    func(string) {},
			Lost:       func(error) { lost.Add(1) },
		}.Run(ctx)
	}()
	require.Eventually(t, func() bool { return stands.Load() == 1 }, patience, time.Millisecond)
	server.Kill()
	require.Eventually(t, func() bool { return lost.Load() >= 1 }, patience, time.Millisecond)
	server.Start()
	require.Eventually(t, func() bool { return stands.Load() == 2 }, patience, time.Millisecond)
	cancel()
	<-ended
}

func TestRefused(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	admin := connect(t, &redis.Options{Addr: server.Addr})
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "limited", "on", ">secret", "~mine:*", "resetchannels", "+@all", "-incr").Err())
	rdb := connect(t, &redis.Options{Addr: server.Addr, Username: "limited", Password: "secret"})
	ctx := t.Context()
	for name, err := range map[string]error{
		"command":           rdb.Incr(ctx, "mine:n").Err(),
		"key":               rdb.Get(ctx, "yours:n").Err(),
		"channel":           rdb.Publish(ctx, "news", "").Err(),
		"command in script": rdb.Eval(ctx, `return redis.call('INCR', KEYS[1])`, []string{"mine:n"}).Err(),
		"unknown command":   rdb.Do(ctx, "NOSUCHCOMMAND").Err(),
	} {
		require.True(t, redisx.Refused(err), "%s: %v", name, err)
	}
	for name, err := range map[string]error{
		"none":       nil,
		"nil":        rdb.Get(ctx, "mine:nothing").Err(),
		"wrong type": rdb.Eval(ctx, `return redis.error_reply('WRONGTYPE no')`, nil).Err(),
		"away":       connect(t, &redis.Options{Addr: "127.0.0.1:1"}).Ping(ctx).Err(),
	} {
		require.False(t, redisx.Refused(err), "%s: %v", name, err)
	}
}
