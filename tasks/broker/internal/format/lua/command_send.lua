-- Stores a command for a worker, unless it is there or answered already. Whoever waits for the answer calls this again and
-- again: so a command outlives the loss of what Redis held.
--
-- KEYS[1] commands   of the worker, by id
-- KEYS[2] answer     to this one
-- ARGV[1] id
-- ARGV[2] command    as JSON
-- ARGV[3] span       how long it counts from now on, in ms
-- ARGV[4] most       number of commands that may wait
--
-- Answers {1, answer}, or {0} when it waits now, {2} when another command of the id does, and {3} when too many do.
--
--- @include lua/lib/clock.lua

local commands, answer = KEYS[1], KEYS[2]
local id, command, span, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local given = redis.call('GET', answer)
if given then return {1, given} end
local there = redis.call('HGET', commands, id)
if there and string.sub(there, string.find(there, ' ', 1, true) + 1) ~= command then return {2} end
if not there and redis.call('HLEN', commands) >= most then return {3} end
redis.call('HSET', commands, id, string.format('%.0f ', now + span) .. command)
if redis.call('PTTL', commands) < span then redis.call('PEXPIRE', commands, span) end
return {0}
