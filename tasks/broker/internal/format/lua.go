package format

// LuaClock defines now, Redis's time in milliseconds.
const LuaClock = `
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
`

// LuaHolder defines holder, which names the life that a task's owner and pending_since say to have it. A worker that is
// not ours, as plain asynq, leaves the owner of the delivery before and takes pending_since away.
const LuaHolder = `
local function holder(owner, since)
	return owner and since and string.match(owner, '^(.*)%.[^.]*$')
end
`

// LuaDespiteFull makes commands pass that a full Redis (maxmemory, noeviction) denies: it denies only the first write of a
// script, and never one that takes away. The call does nothing else.
//
// Scripts may say the same of themselves (flags=allow-oom), but only since Redis 7.
func LuaDespiteFull(zset string) string { return "\nredis.call('ZREM', " + zset + ", '')\n" }

// LuaRing wakes one worker. An element that nobody waits for is enough for whoever comes next. A wake-up that Redis
// refuses fails nothing: idle workers look for themselves, a little later.
const LuaRing = `
local function ring(wake)
	if redis.pcall('LLEN', wake) == 0 then
		redis.pcall('RPUSH', wake, 1)
		redis.pcall('PEXPIRE', wake, 2000)
	end
end
`

// LuaAttempt defines attempt, which adds a record to a task's attempts. The oldest go when they are too many.
const LuaAttempt = `
local function attempt(task, record, before)
	if record == '' then return end
	before = before or redis.call('HGET', task, 'attempts')
	local all = before and before .. '\n' .. record or record
	if #all > 32768 then all = string.sub(all, (string.find(all, '\n', #all - 24576, true) or 0) + 1) end
	redis.call('HSET', task, 'attempts', all)
end
`

// LuaEnd defines forget, which frees the uniqueness and the tags of a task that ends.
const LuaEnd = `
local function forget(task, id, prefix)
	local has = redis.call('HMGET', task, 'unique_key', 'tags')
	if has[1] and redis.call('GET', has[1]) == id then redis.call('DEL', has[1]) end
	if has[2] then
		for tag in string.gmatch(has[2], '[^ ]+') do redis.call('SREM', prefix .. 'tag:' .. tag, id) end
	end
end
`

// LuaEvents defines publish, which sends lines for EventsChannel. A script must not fail for it, since Redis keeps what
// the script has written before: where the user may not publish, waiters find the end by asking.
const LuaEvents = `
local function publish(lines)
	if #lines > 0 then redis.pcall('PUBLISH', '` + EventsChannel + `', table.concat(lines, '\n')) end
end
`
