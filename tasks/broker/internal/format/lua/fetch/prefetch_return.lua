-- Has active tasks of one queue wait again that their owners still have. What a worker has fetched ahead is near the beginning
-- of the active list, what one has left that died near its end.
--
-- KEYS[1] active
-- KEYS[2] leases
-- KEYS[3] pending
-- KEYS[4] wake        the list that wakes workers
-- KEYS[5] high
-- KEYS[6] low
-- KEYS[7] retry
-- ARGV[1] since       now, in ns
-- ARGV[2] rings       '1' to wake a worker
-- ARGV[3] ended       '1' for tasks whose lease has ended only
-- ARGV[4] died        '1' to count that the worker died
--
-- then for each task, the first to run last, in KEYS: its key; in ARGV:
--   id
--   token             of the owner, or ''
--   record            of the attempt, or ''
--   delay             in s; '0' is at the head of its queue
--
-- Answers how many of them were still their owners'.
--
--- @include lua/lib/clock.lua
--- @include lua/lib/ring.lua
--- @include lua/lib/publish.lua
--- @include lua/lib/attempt.lua

local active, leases, pending, wake, high, low, retry = unpack(KEYS, 1, 7)
local since, rings, ended, died = ARGV[1], ARGV[2] == '1', ARGV[3] == '1', ARGV[4] == '1'

local n, ready, events, second, a = 0, false, {}, math.floor(now / 1000), 5
for k = 8, #KEYS do
	local task = KEYS[k]
	local id, token, record, delay = ARGV[a], ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 3])
	a = a + 4
	local held = redis.call('HMGET', task, 'owner', 'state', 'prio', 'watch')
	local owner, state, priority, watched = held[1], held[2], held[3], held[4]
	local back = (owner or '') == token and state == 'active'
	if back and ended then
		local ends = redis.call('ZSCORE', leases, id)
		back = ends and tonumber(ends) < second
	end
	if back then
		redis.call('LREM', active, died and -1 or 1, id)
		redis.call('ZREM', leases, id)
		if died then redis.call('HINCRBY', task, 'crashes', 1) end
		attempt(task, record)
		if delay > 0 then
			redis.call('ZADD', retry, second + delay, id)
			redis.call('HSET', task, 'state', 'retry')
		else
			redis.call('RPUSH', priority == 'high' and high or priority == 'low' and low or pending, id)
			redis.call('HSET', task, 'state', 'pending', 'pending_since', since)
			ready = true
		end
		if watched then events[#events + 1] = '+' .. id end
		n = n + 1
	end
end
if ready and rings then ring(wake) end
publish(events)
return n
