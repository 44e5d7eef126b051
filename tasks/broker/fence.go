package broker

import (
	"fmt"
	"strings"
	"sync"

	"github.com/paidui/paidui/models/redisx"
)

const fencedReply = "FENCED"

// luaFence goes before a script that ends a delivery. The last arguments are ours: token, result, record of the attempt,
// prefix of our keys. It holds the task's owner against the token, and writes what the attempt leaves. A task that is no
// longer active has been acknowledged before.
const luaFence = luaEvents + luaAttempt + `
local task, n, id = KEYS[%[1]d], #ARGV, ARGV[1]
local held = redis.call('HMGET', task, 'owner', 'state', 'watch', 'revoked', 'prio')
if held[1] ~= ARGV[n - 3] or held[2] ~= 'active' then return redis.status_reply('%[2]s') end
redis.call('HDEL', task, '') -- see luaDespiteFull
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
	luaArchive = luaEnd + `
forget(task, id, ARGV[n])
if held[3] then publish({'.' .. id}) end
`
	luaRequeue = `
if held[5] then KEYS[3] = ARGV[n] .. held[5] end
if held[3] then publish({'+' .. id}) end
`
)

// luaAttempt defines attempt, which adds a record to a task's attempts. The oldest go when they are too many.
const luaAttempt = `
local function attempt(task, record, before)
	if record == '' then return end
	before = before or redis.call('HGET', task, 'attempts')
	local all = before and before .. '\n' .. record or record
	if #all > 32768 then all = string.sub(all, (string.find(all, '\n', #all - 24576, true) or 0) + 1) end
	redis.call('HSET', task, 'attempts', all)
end
`

// luaEnd defines forget, which frees the uniqueness and the tags of a task that ends.
const luaEnd = `
local function forget(task, id, prefix)
	local has = redis.call('HMGET', task, 'unique_key', 'tags')
	if has[1] and redis.call('GET', has[1]) == id then redis.call('DEL', has[1]) end
	if has[2] then
		for tag in string.gmatch(has[2], '[^ ]+') do redis.call('SREM', prefix .. 'tag:' .. tag, id) end
	end
end
`

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
	case task == 0 && strings.HasSuffix(keys[3], retrySuffix):
		return luaRetry
	case task == 0 && strings.HasSuffix(keys[3], archivedSuffix):
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
