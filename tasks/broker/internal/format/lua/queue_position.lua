-- Finds how many tasks of a queue come before one that waits.
--
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- ARGV[1] id
-- ARGV[2] priority   of the task: high, low, or '' for normal
-- ARGV[3] most       how many tasks of its list to look at
--
-- Answers how many come before it, and 1 if these are only those that were looked at, at least; nil if it is in no list.

local pending, high, low = KEYS[1], KEYS[2], KEYS[3]
local id, priority, most = ARGV[1], ARGV[2], tonumber(ARGV[3])

local list, before = pending, redis.call('LLEN', high)
if priority == 'high' then
	list, before = high, 0
elseif priority == 'low' then
	list, before = low, before + redis.call('LLEN', pending)
end
local length = redis.call('LLEN', list)
local at = redis.call('LPOS', list, id, 'RANK', -1, 'MAXLEN', most)
if at then return {before + length - 1 - at, 0} end
if length > most then return {before + most, 1} end
return nil
