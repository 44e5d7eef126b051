-- Revokes tasks of a queue.
--
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] scheduled
-- KEYS[5] retry
-- KEYS[6] completed
-- ARGV[1] own         prefix of our keys
-- ARGV[2] reason
-- ARGV[3] result      of a revoked task
-- ARGV[4] suffix      what its message gets
-- ARGV[5] terminate   '1' to end running tasks
-- ARGV[6] queue
-- ARGV[7] tag         the set that the ids were found in, or ''
-- ARGV[8] command     name of this call: see newCommand
-- ARGV[9] longest     longest list that is searched
-- ARGV[10] limit      list elements to pass by: then the rest of the tasks is for another call
-- ARGV[11] channel    that tells workers
--
-- then for each task, in KEYS: its key; in ARGV:
--   id
--   keep_until        when the record of the revoked task ends, in s; '0' when the task was not there a moment ago: it is
--                     left alone
--
-- Answers a word for each task, of the first ones only when the limit was passed: absent, revoked (now), before (revoked
-- earlier), or its state.
--
--- @include lua/lib/publish.lua
--- @include lua/lib/release.lua
--- @include lua/lib/revoked.lua

local pending, high, low, scheduled, retry, completed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local own, reason, result, suffix, terminate, queue = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1', ARGV[6]
local tag, command, longest, limit, channel = ARGV[7], ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]

local lists = {high = high, low = low}
local words, events, stops, visits, a = {}, {}, {}, 0, 12
for k = 7, #KEYS do
	local task, id, keep_until = KEYS[k], ARGV[a], ARGV[a + 1]
	a = a + 2
	local held = redis.call('HMGET', task, 'state', 'prio', 'watch', 'msg', 'result', 'command')
	local priority, watched, message, has_result, last = held[2], held[3], held[4], held[5], held[6]
	local state = keep_until ~= '0' and held[1]
	local word = 'absent'
	if state == 'active' then
		word = state
		redis.call('HDEL', task, '') -- a full Redis denies the first write only
		redis.call('HSET', task, 'revoked', reason)
		if terminate then redis.call('HSET', task, 'terminate', 1) end
		stops[#stops + 1] = queue .. ' ' .. id
	elseif state == 'pending' or state == 'scheduled' or state == 'retry' then
		word = 'revoked'
		if state == 'pending' then
			local list = lists[priority] or pending
			local n = redis.call('LLEN', list)
			if n <= longest then
				redis.call('LREM', list, 0, id)
				visits = visits + n
			end
		else
			redis.call('ZREM', state == 'retry' and retry or scheduled, id)
		end
		redis.call('HDEL', task, 'revoked', 'terminate')
		redis.call('HSET', task, 'state', 'completed', 'result', result, 'msg', message .. suffix, 'command', command)
		redis.call('ZADD', completed, keep_until, id)
		release(task, id, own)
		if watched then events[#events + 1] = '.' .. id end
	elseif state then
		word = state
		if state == 'completed' and is_revoked(has_result) then word = last == command and 'revoked' or 'before' end
	end
	if tag ~= '' and word ~= 'active' and (state or not held[1]) then redis.call('SREM', tag, id) end
	words[#words + 1] = word
	if visits >= limit then break end
end
publish(events)
if terminate and #stops > 0 then redis.pcall('PUBLISH', channel, table.concat(stops, '\n')) end
return words
