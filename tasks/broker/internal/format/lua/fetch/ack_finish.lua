-- Ends tasks of one queue that have succeeded. It does what asynq's done (no retention: the task is deleted) and markAsComplete
-- do, for deliveries that still have their tasks.
--
-- KEYS[1] active
-- KEYS[2] leases
-- KEYS[3] completed
-- KEYS[4] processed_day
-- KEYS[5] processed
-- ARGV[1] expires     when the day's counter ends, in s
-- ARGV[2] own         prefix of our keys
--
-- then for each task, in KEYS: its key and, if it is unique, the key of that; in ARGV:
--   id
--   token             of the delivery
--   is_unique         '1' when it is unique
--   keep_until        end of the retention, in s; '' is no retention
--   message           with a retention
--   result
--   record            of the attempt, or ''
--
-- Answers for each 1, or 0 when another delivery has the task.
--
--- @include lua/lib/publish.lua
--- @include lua/lib/rate.lua
--- @include lua/lib/attempt.lua

local active, leases, completed, processed_day, processed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local expires, own = ARGV[1], ARGV[2]

local answers, gone, ended, kept, events = {}, {}, {}, {}, {}
local k, n = 6, 0
for a = 3, #ARGV, 7 do
	local task, unique = KEYS[k], nil
	local id, token, is_unique, keep_until, message, result, record = unpack(ARGV, a, a + 6)
	k = k + 1
	if is_unique == '1' then
		unique = KEYS[k]
		k = k + 1
	end
	local held = redis.call('HMGET', task, 'owner', 'state', 'watch', 'tags', 'attempts')
	local owner, state, watched, tags, attempts = held[1], held[2], held[3], held[4], held[5]
	local mine = owner == token and state == 'active'
	answers[#answers + 1] = mine and 1 or 0
	if mine then
		n = n + 1
		redis.call('LREM', active, -1, id)
		ended[#ended + 1] = id
		if keep_until == '' then
			gone[#gone + 1] = task
		else
			kept[#kept + 1] = keep_until
			kept[#kept + 1] = id
			if not attempts and record ~= '' then
				redis.call('HSET', task, 'msg', message, 'state', 'completed', 'result', result, 'attempts', record)
			else
				redis.call('HSET', task, 'msg', message, 'state', 'completed', 'result', result)
				attempt(task, record, attempts)
			end
		end
		if unique and redis.call('GET', unique) == id then gone[#gone + 1] = unique end
		if watched then events[#events + 1] = '.' .. id end
		if tags then
			for tag in string.gmatch(tags, '[^ ]+') do redis.call('SREM', own .. 'tag:' .. tag, id) end
		end
	end
end
if n == 0 then return answers end
redis.call('ZREM', leases, unpack(ended))
if #gone > 0 then redis.call('DEL', unpack(gone)) end
if #kept > 0 then redis.call('ZADD', completed, unpack(kept)) end
if redis.call('INCRBY', processed_day, n) == n then redis.call('EXPIREAT', processed_day, expires) end
if tonumber(redis.call('GET', processed) or 0) >= 9e18 then redis.call('SET', processed, 0) end
redis.call('INCRBY', processed, n)
count_rate(own .. 'rate:', 'out', n)
publish(events)
return answers
