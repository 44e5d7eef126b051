package redisx

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

func testNeeds() []Need {
	return []Need{
		{Cost: "nothing works", Vital: true, Commands: append(KeyCommands(ProbeKey("mine:")), Touch(ProbeKey("mine:"))...)},
		{Cost: "slower", Publish: []string{"news"}, Listen: []string{"news"}},
	}
}

// dial connects as the user limited, or as the default one.
func dial(t *testing.T, addr, user string) *redis.Client {
	t.Helper()
	o := &redis.Options{Addr: addr}
	if user != "" {
		o.Username, o.Password = user, "secret"
	}
	rdb := redis.NewClient(o)
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

func TestNothingIsLackingWhereAllIsAllowed(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]string{
		"redis":    testenv.Redis(t).Addr,
		"embedded": miniredis.RunT(t).Addr(),
	} {
		rdb := dial(t, addr, "")
		lacks, err := Probe(t.Context(), rdb, testNeeds())
		require.NoError(t, err, name)
		require.Empty(t, lacks, name)
		left, err := rdb.DBSize(t.Context()).Result()
		require.NoError(t, err)
		require.Zero(t, left, "%s: the probe left keys behind", name)
	}
}

func TestWhatIsRefusedIsNamed(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	admin := dial(t, server.Addr, "")
	rules := func(rules ...any) {
		t.Helper()
		args := append([]any{"ACL", "SETUSER", "limited", "reset", "on", ">secret"}, rules...)
		require.NoError(t, admin.Do(t.Context(), args...).Err())
	}
	rules("~mine:*", "+@all", "-hset", "-evalsha", "resetchannels")
	var log bytes.Buffer
	now := time.Now()
	r := NewRights("PAIDUI_X_URL", dial(t, server.Addr, "limited"), testNeeds, slog.New(slog.NewTextHandler(&log, nil)))
	r.now = func() time.Time { return now }
	require.Empty(t, r.Known(), "it has not asked")
	require.Equal(t, []Lack{
		{Rights: []string{"EVALSHA", "HSET"}, Cost: "nothing works", Vital: true},
		{Rights: []string{"PUBLISH news", "SUBSCRIBE news"}, Cost: "slower"},
	}, r.Lacks(t.Context()))
	require.EqualError(t, r.Check(t.Context()), "PAIDUI_X_URL: no leave for EVALSHA, HSET: nothing works")
	require.Equal(t, []string{"PAIDUI_X_URL: no leave for PUBLISH news, SUBSCRIBE news: slower"}, r.Notes(t.Context()))
	require.Equal(t, 2, bytes.Count(log.Bytes(), []byte("level=WARN")), log.String())
	require.Contains(t, log.String(), `rights="[PUBLISH news SUBSCRIBE news]" cost=slower`)

	rules("~mine:*", "+@all", "&news")
	require.Error(t, r.Check(t.Context()), "it was asked a moment ago")
	now = now.Add(recheck)
	require.NoError(t, r.Check(t.Context()))
	require.Empty(t, r.Notes(t.Context()))
	require.Equal(t, 2, bytes.Count(log.Bytes(), []byte("level=WARN")), log.String())

	rules("~other:*", "+@all", "&news")
	now = now.Add(recheck)
	require.ErrorContains(t, r.Check(t.Context()), "GET mine:")

	server.Stop()
	now = now.Add(recheck)
	require.ErrorContains(t, r.Check(t.Context()), "GET mine:", "what is not known does not change")
}
