package fetch

import (
	"fmt"
	"strings"
	"sync"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const fencedReply = "FENCED"

// luaFence goes before a script that ends a delivery. The last arguments are ours: token, result, record of the attempt,
// prefix of our keys. It holds the task's owner against the token, and writes what the attempt leaves. A task that is no
// longer active has been acknowledged before.
const luaFence = format.LuaEvents + format.LuaAttempt + `
local task, n, id = KEYS[%[1]d], #ARGV, ARGV[1]
local held = redis.call('HMGET', task, 'owner', 'state', 'watch', 'revoked', 'prio')
if held[1] ~= ARGV[n - 3] or held[2] ~= 'active' then return redis.status_reply('%[2]s') end
redis.call('HDEL', task, '') -- see format.LuaDespiteFull
if ARGV[n - 2] ~= '' then redis.call('HSET', task, 'result', ARGV[n - 2]) end
attempt(task, ARGV[n - 1])
`

// What else a script needs, by what it does with the task.
const (
	// A revoked task is not left waiting for its next attempt: that one only ends it.
	luaRetry = `
if held[4] then ARGV[3] = '0' end
if held[3] then publish({'+' .. id}) end
`
	luaArchive = format.LuaEnd + `
forget(task, id, ARGV[n])
if held[3] then publish({'.' .. id}) end
`
	luaRequeue = `
if held[5] then KEYS[3] = ARGV[n] .. held[5] end
if held[3] then publish({'+' .. id}) end
`
)

// fences keeps asynq's scripts with a fence, by the hash of the original.
type fences struct{ scripts sync.Map }

func (f *fences) of(sha string) (*redisx.Script, bool) {
	s, ok := f.scripts.Load(sha)
	if !ok {
		return nil, false
	}
	return s.(*redisx.Script), true
}

// make fences a script with these keys, whose task is the one with the given index.
func (f *fences) make(script string, task int, keys []string) *redisx.Script {
	fenced := redisx.NewScript(fmt.Sprintf(luaFence, task+1, fencedReply) + luaBefore(task, keys) + script)
	f.scripts.Store(redisx.NewScript(script).Hash(), fenced)
	return fenced
}

// luaBefore is what goes between the fence and the script with these keys, whose task is the one with the given index.
func luaBefore(task int, keys []string) string {
	switch {
	case task == 0 && strings.HasSuffix(keys[3], format.RetrySuffix):
		return luaRetry
	case task == 0 && strings.HasSuffix(keys[3], format.ArchivedSuffix):
		return luaArchive
	case task == 3:
		return luaRequeue
	}
	return ""
}

// noScript is the answer with which go-redis sends a script's text.
type noScript struct{}

func (noScript) Error() string { return "NOSCRIPT the fenced form of this script is not made yet" }
func (noScript) RedisError()   {}
