package redisx

import (
	"testing"
	"testing/fstest"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

func scriptFolder() fstest.MapFS {
	return fstest.MapFS{
		"add.lua":        {Data: []byte("--- @include lib/sum.lua\nreturn sum(ARGV[1], ARGV[2])\n")},
		"lib/sum.lua":    {Data: []byte("--- @include lib/number.lua\nlocal function sum(a, b) return number(a) + number(b) end\n")},
		"lib/number.lua": {Data: []byte("local function number(text) return tonumber(text) end\n")},
		"missing.lua":    {Data: []byte("--- @include lib/other.lua\n")},
		"itself.lua":     {Data: []byte("return 1\n--- @include itself.lua\n")},
		"key.lua":        {Data: []byte("return redis.call('INCR', KEYS[1])\n")},
	}
}

func TestScriptsIncludeOthers(t *testing.T) {
	t.Parallel()
	rdb := dial(t, testenv.Redis(t).Addr, "")
	sum, err := LoadScript(scriptFolder(), "add.lua").Run(t.Context(), rdb, nil, 20, 22).Int()
	require.NoError(t, err)
	require.Equal(t, 42, sum)
	require.PanicsWithValue(t, "reading a script: open lib/other.lua: file does not exist",
		func() { LoadScript(scriptFolder(), "missing.lua") })
	require.PanicsWithValue(t, "the script itself.lua includes itself", func() { LoadScript(scriptFolder(), "itself.lua") })
}

func TestRunScriptsThatTheServerDoesNotKnow(t *testing.T) {
	t.Parallel()
	rdb := dial(t, testenv.Redis(t).Addr, "")
	script := LoadScript(scriptFolder(), "key.lua")
	for _, once := range []bool{false, true} {
		require.NoError(t, rdb.ScriptFlush(t.Context()).Err())
		require.NoError(t, rdb.FlushAll(t.Context()).Err())
		calls := []*Call{
			{Script: script, Keys: []string{"a"}, Once: once},
			{Script: script, Keys: []string{"a"}, Once: once},
			{Script: NewScript("return redis.error_reply('NO of its own')"), Once: once},
		}
		var ping *redis.StatusCmd
		RunScripts(t.Context(), rdb, calls, func(p redis.Pipeliner) { ping = p.Ping(t.Context()) })
		require.Equal(t, "PONG", ping.Val())
		require.EqualValues(t, 1, calls[0].Cmd.Val())
		require.EqualValues(t, 2, calls[1].Cmd.Val())
		require.EqualError(t, calls[2].Cmd.Err(), "NO of its own")
		RunScripts(t.Context(), rdb, calls[:1])
		require.EqualValues(t, 3, calls[0].Cmd.Val(), "run once each time")
	}
}
