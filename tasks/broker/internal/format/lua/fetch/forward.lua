-- Moves tasks that are due to the lists of those that wait. It does what asynq's forward does, and keeps priorities.
--
-- KEYS[1] delayed     scheduled or retry
-- KEYS[2] pending
-- KEYS[3] high
-- KEYS[4] low
-- ARGV[1] now         in s
-- ARGV[2] tasks       prefix of the tasks' keys
-- ARGV[3] since       now, in ns
-- ARGV[4] groups      prefix of the groups' keys
--
-- Answers how many it moved: 100 at most.
--
--- @include lua/lib/publish.lua

local delayed, pending, high, low = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, tasks, since, groups = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local ids, events = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 100), {}
for _, id in ipairs(ids) do
	local task = tasks .. id
	local has = redis.call('HMGET', task, 'group', 'prio', 'watch')
	local group, priority, watched = has[1], has[2], has[3]
	redis.call('ZREM', delayed, id)
	if group and group ~= '' then
		redis.call('ZADD', groups .. group, now, id)
		redis.call('HSET', task, 'state', 'aggregating')
	else
		redis.call('LPUSH', priority == 'high' and high or priority == 'low' and low or pending, id)
		redis.call('HSET', task, 'state', 'pending', 'pending_since', since)
		if watched then events[#events + 1] = '+' .. id end
	end
end
publish(events)
return #ids
