-- Ends a task that has failed for good. It does what asynq's archive does, for a delivery that still has the task, and frees
-- what the task holds.
--
-- KEYS[1] task
-- KEYS[2] active
-- KEYS[3] leases
-- KEYS[4] archived
-- KEYS[5] processed_day
-- KEYS[6] failed_day
-- KEYS[7] processed
-- KEYS[8] failed
-- KEYS[9] tasks       prefix of the tasks' keys
-- ARGV[1] id
-- ARGV[2] message
-- ARGV[3] since       now, in s
-- ARGV[4] cutoff      tasks that were archived before it are deleted, in s
-- ARGV[5] size        of the archive: when there are so many, the oldest are deleted
-- ARGV[6] expires     when the day's counters end, in s
-- ARGV[7] largest     number that a counter can be
-- ARGV[8] token       of the delivery
-- ARGV[9] result      of the attempt, or ''
-- ARGV[10] record     of the attempt, or ''
-- ARGV[11] own        prefix of our keys
--
-- Answers 1, or 0 when another delivery has the task.
--
--- @include lua/lib/publish.lua
--- @include lua/lib/rate.lua
--- @include lua/lib/fence.lua
--- @include lua/lib/end_attempt.lua
--- @include lua/lib/count_failure.lua
--- @include lua/lib/release.lua

local task, active, leases, archived = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local processed_day, failed_day, processed, failed, tasks = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local id, message, since, cutoff, size, expires, largest = unpack(ARGV, 1, 7)
local token, result, record, own = ARGV[8], ARGV[9], ARGV[10], ARGV[11]

local mine, watched = owned(task, token)
if not mine then return 0 end
if not end_attempt(active, leases, task, id, result, record) then return redis.error_reply('NOT FOUND') end
release(task, id, own)

redis.call('ZADD', archived, since, id)
for _, old in ipairs(redis.call('ZRANGEBYSCORE', archived, '-inf', cutoff)) do
	redis.call('DEL', tasks .. old)
end
redis.call('ZREMRANGEBYSCORE', archived, '-inf', cutoff)
for _, extra in ipairs(redis.call('ZRANGE', archived, 0, -size)) do
	redis.call('DEL', tasks .. extra)
end
redis.call('ZREMRANGEBYRANK', archived, 0, -size)

redis.call('HSET', task, 'msg', message, 'state', 'archived')
count_failure(processed_day, failed_day, processed, failed, expires, largest)
count_rate(own .. 'rate:', 'out', 1)
if watched then publish({'.' .. id}) end
return 1
