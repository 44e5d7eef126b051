-- Puts a task back that a worker still runs as it stops, at the head of its queue. It does what asynq's requeue does, for a
-- delivery that still has the task, and keeps its priority.
--
-- KEYS[1] task
-- KEYS[2] active
-- KEYS[3] leases
-- KEYS[4] pending
-- KEYS[5] high
-- KEYS[6] low
-- ARGV[1] id
-- ARGV[2] token       of the delivery
-- ARGV[3] result      of the attempt, or ''
-- ARGV[4] record      of the attempt, or ''
--
-- Answers 1, or 0 when another delivery has the task.
--
--- @include lua/lib/publish.lua
--- @include lua/lib/fence.lua
--- @include lua/lib/end_attempt.lua

local task, active, leases, pending, high, low = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, token, result, record = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local mine, watched, _, priority = owned(task, token)
if not mine then return 0 end
if not end_attempt(active, leases, task, id, result, record) then return redis.error_reply('NOT FOUND') end
redis.call('RPUSH', priority == 'high' and high or priority == 'low' and low or pending, id)
redis.call('HSET', task, 'state', 'pending')
if watched then publish({'+' .. id}) end
return 1
