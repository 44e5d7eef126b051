package fetch

import (
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// fetchScript KEYS, for each queue: pending, paused, active, lease, wake, high, low, lives. ARGV: life, limit, token, 1 to
// ring, now (ms), how many normal and low tasks have their turn before higher ones, time of a lease (s); then for each queue
// the prefix of its tasks' keys. It does what asynq's dequeue does, for many, but leaves pending_since, and marks who has the
// tasks. An id is dropped whose task is gone, or not pending any more, or whose key is no task's. It returns nil, 0 when the
// life is unknown or ended, or the number of the queue and each task's id, message and note (see read); if more wait, it wakes
// a worker.
var fetchScript = redisx.NewScript(format.LuaRing + format.LuaEvents + `
local lists, limit = {}, tonumber(ARGV[2])
for k = 1, #KEYS, 8 do
	lists[#lists + 1] = KEYS[k]
	lists[#lists + 1] = KEYS[k + 5]
	lists[#lists + 1] = KEYS[k + 6]
end
if redis.call('EXISTS', unpack(lists)) == 0 then return nil end

local function take(ids, list, n)
	if n < 1 then return end
	for _, id in ipairs(redis.call('RPOP', list, n) or {}) do ids[#ids + 1] = id end
end

local function pop(pending, high, low)
	if redis.call('EXISTS', high, low) == 0 then return redis.call('RPOP', pending, limit) or {} end
	local ids, normals, lows = {}, tonumber(ARGV[6]), tonumber(ARGV[7])
	take(ids, high, limit - normals - lows)
	take(ids, pending, limit - lows - #ids)
	take(ids, low, limit - #ids)
	take(ids, high, limit - #ids)
	take(ids, pending, limit - #ids)
	return ids
end

local ends = tonumber(redis.call('TIME')[1]) + tonumber(ARGV[8])
for q = 1, #KEYS / 8 do
	local k = 8 * (q - 1)
	local pending, high, low = KEYS[k + 1], KEYS[k + 6], KEYS[k + 7]
	if not redis.call('ZSCORE', KEYS[k + 8], ARGV[1]) then return 0 end
	local ids = redis.call('EXISTS', KEYS[k + 2]) == 0 and pop(pending, high, low) or {}
	for _ = 1, 16 do
		if #ids == 0 then break end
		local out, active, leases, events = {q}, {}, {}, {}
		for i = 1, #ids do
			local id = ids[i]
			local key = ARGV[8 + q] .. id
			local has = redis.pcall('HMGET', key, 'msg', 'state', 'watch', 'progress', 'crashes', 'revoked') -- nothing of a key of another kind
			if has[1] and has[2] == 'pending' then
				redis.call('HSET', key, 'state', 'active', 'owner', ARGV[3], 'began', ARGV[5])
				if has[3] then events[#events + 1] = '+' .. id end
				if has[4] then redis.call('HDEL', key, 'progress') end
				active[#active + 1] = id
				leases[#leases + 1] = ends
				leases[#leases + 1] = id
				local note = ''
				if has[5] or has[6] then note = (has[5] or '0') .. (has[6] and ' ' .. has[6] or '') end
				out[#out + 1] = id
				out[#out + 1] = has[1]
				out[#out + 1] = note
			end
		end
		if #active > 0 then
			redis.call('LPUSH', KEYS[k + 3], unpack(active))
			redis.call('ZADD', KEYS[k + 4], unpack(leases))
			if ARGV[4] == '1' and #ids == limit and redis.call('EXISTS', pending, high, low) > 0 then ring(KEYS[k + 5]) end
			publish(events)
			return out
		end
		ids = pop(pending, high, low) -- none of these is pending any more
	end
	if #ids > 0 then -- there may be many more such: another call goes on
		redis.call('RPUSH', pending, unpack(ids))
		if ARGV[4] == '1' then ring(KEYS[k + 5]) end
		return nil
	end
end
return nil
`)
