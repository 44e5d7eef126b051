package broker

import (
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// luaRevoked defines revoked, which tells of a completed task whether it was revoked.
const luaRevoked = `
local function revoked(task)
	return string.sub(redis.call('HGET', task, 'result') or '', 1, 9) == '` + RevokedPrefix + `'
end
`

// listedScript KEYS: a list or a set. ARGV: 1 for a set, number of its elements to skip, number to look at, prefix of the
// tasks' keys. It returns each id and its task's state, ” without a task; that of a revoked one is "revoked". A list is read
// from the end that is fetched first.
var listedScript = redisx.NewScript(luaRevoked + `
local skip, size, ids = tonumber(ARGV[2]), tonumber(ARGV[3]), nil
if ARGV[1] == '1' then
	ids = redis.call('ZRANGE', KEYS[1], skip, skip + size - 1)
else
	ids = redis.call('LRANGE', KEYS[1], -skip - size, -skip - 1)
end
local out = {}
for _, id in ipairs(ids) do
	local task = ARGV[4] .. id
	local kind = redis.call('TYPE', task)
	kind = kind.ok or kind
	local state = ''
	if kind == 'hash' then
		state = redis.call('HEXISTS', task, 'msg') == 1 and redis.call('HGET', task, 'state') or ''
		if state == 'completed' and revoked(task) then state = 'revoked' end
	elseif kind ~= 'none' then
		state = 'foreign'
	end
	out[#out + 1] = id
	out[#out + 1] = state
end
return out
`)

// judgeScript KEYS: scheduled, retry, archived, completed, lives, lease, then tasks. ARGV: length of the prefix of the tasks'
// keys. It returns of each task the id, the state, since when it has it (pending: ns, active: ms, else ”), and 0 if the set of
// its state lacks it, or no living worker has it and its lease, which plain asynq workers prolong, has ended; else 1.
var judgeScript = redisx.NewScript(format.LuaClock + format.LuaHolder + `
local sets, out = {scheduled = KEYS[1], retry = KEYS[2], archived = KEYS[3], completed = KEYS[4]}, {}
for k = 7, #KEYS do
	local id = string.sub(KEYS[k], tonumber(ARGV[1]) + 1)
	local kind = redis.call('TYPE', KEYS[k])
	local has = (kind.ok or kind) == 'hash' and redis.call('HEXISTS', KEYS[k], 'msg') == 1
		and redis.call('HMGET', KEYS[k], 'state', 'pending_since', 'owner', 'began') or {}
	if has[1] then
		local at, home = '', '1'
		if has[1] == 'pending' then
			at = has[2] or ''
		elseif has[1] == 'active' then
			at = has[4] or ''
			local who = holder(has[3], has[2])
			if not who or not redis.call('ZSCORE', KEYS[5], who) then
				local ends = redis.call('ZSCORE', KEYS[6], id)
				if not ends or tonumber(ends) < now / 1000 then home = '0' end
			end
		elseif sets[has[1]] and not redis.call('ZSCORE', sets[has[1]], id) then
			home = '0'
		end
		out[#out + 1] = id
		out[#out + 1] = has[1]
		out[#out + 1] = at
		out[#out + 1] = home
	end
end
return out
`)

// mendScript KEYS: pending, high, low, active, lease, scheduled, retry, archived, completed, wake, then tasks. ARGV: now (ns),
// 1 to ring, time of a lease (s); then for each task its id and where it belongs in the set of its state (s). It has each task
// be once in the lists of its state and in no other. One that was in none goes to the head of its queue. A revoked one may stay
// in a list of those that wait. It returns how long the lists are together, and ids and faults.
var mendScript = redisx.NewScript(luaRevoked + format.LuaClock + format.LuaRing + format.LuaEvents + format.LuaDespiteFull("KEYS[5]") + `
local lists = {KEYS[1], KEYS[2], KEYS[3], KEYS[4]}
local sets = {scheduled = KEYS[6], retry = KEYS[7], archived = KEYS[8], completed = KEYS[9]}

local function times(list, id)
	local places = redis.pcall('LPOS', list, id, 'COUNT', 0)
	if not places.err then return #places end
	local n = 0 -- a server without that command is a small one
	for _, one in ipairs(redis.call('LRANGE', list, 0, -1)) do
		if one == id then n = n + 1 end
	end
	return n
end

local listed, out, events, ready = 0, {0}, {}, false
for _, list in ipairs(lists) do listed = listed + redis.call('LLEN', list) end
out[1] = listed

for k = 11, #KEYS do
	local task, id, score = KEYS[k], ARGV[2 * k - 18], ARGV[2 * k - 17]
	local kind = redis.call('TYPE', task)
	kind = kind.ok or kind
	local has = kind == 'hash' and redis.call('HMGET', task, 'state', 'prio', 'watch') or {}
	local state = has[1] and redis.call('HEXISTS', task, 'msg') == 1 and has[1] or 'gone'
	local function note(fault)
		out[#out + 1] = id
		out[#out + 1] = fault
	end
	if kind ~= 'hash' and kind ~= 'none' or state == 'gone' and kind == 'hash' and has[1] then
		-- something else has the key: nobody can tell
	elseif state == 'gone' or state == 'pending' or state == 'active' or sets[state] then
		local other = state == 'gone' and 'stray' or 'wrong'
		local waits, runs = {}, times(KEYS[4], id)
		local waiting = 0
		for i = 1, 3 do
			waits[i] = times(KEYS[i], id)
			waiting = waiting + waits[i]
		end
		if state ~= 'pending' and waiting > 0 and not (state == 'completed' and revoked(task)) then
			for i = 1, 3 do redis.call('LREM', KEYS[i], 0, id) end
			note(other)
		end
		if state ~= 'active' and runs > 0 then
			redis.call('LREM', KEYS[4], 0, id)
			redis.call('ZREM', KEYS[5], id)
			note(other)
		end
		for name, set in pairs(sets) do
			if name ~= state and redis.call('ZREM', set, id) == 1 then note(other) end
		end
		if state == 'pending' and waiting ~= 1 then
			if waiting > 0 then
				for i = 1, 3 do redis.call('LREM', KEYS[i], 0, id) end
			end
			redis.call('RPUSH', has[2] == 'high' and KEYS[2] or has[2] == 'low' and KEYS[3] or KEYS[1], id)
			redis.call('HSETNX', task, 'pending_since', ARGV[1])
			ready = true
			note(waiting == 0 and 'lost' or 'twice')
		elseif state == 'active' and runs ~= 1 then
			if runs > 0 then redis.call('LREM', KEYS[4], 0, id) end
			redis.call('LPUSH', KEYS[4], id)
			-- A worker that has it prolongs the lease; else its task is taken over.
			redis.call('ZADD', KEYS[5], 'NX', math.floor(now / 1000) + tonumber(ARGV[3]), id)
			note(runs == 0 and 'lost' or 'twice')
		elseif sets[state] and not redis.call('ZSCORE', sets[state], id) then
			redis.call('ZADD', sets[state], score, id)
			note('lost')
		end
		if has[3] and #out > 1 and out[#out - 1] == id then events[#events + 1] = '+' .. id end
	end
end
if ready and ARGV[2] == '1' then ring(KEYS[10]) end
publish(events)
return out
`)
