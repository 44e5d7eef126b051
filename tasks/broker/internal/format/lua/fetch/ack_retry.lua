-- Ends an attempt whose task is to be tried again. It does what asynq's retry does, for a delivery that still has the task. A
-- revoked task is not left waiting for its next attempt: that one only ends it.
--
-- KEYS[1] task
-- KEYS[2] active
-- KEYS[3] leases
-- KEYS[4] retry
-- KEYS[5] processed_day
-- KEYS[6] failed_day
-- KEYS[7] processed
-- KEYS[8] failed
-- ARGV[1] id
-- ARGV[2] message
-- ARGV[3] due         when the next attempt is, in s
-- ARGV[4] expires     when the day's counters end, in s
-- ARGV[5] counts      '1' if the attempt counts as a failure
-- ARGV[6] largest     number that a counter can be
-- ARGV[7] token       of the delivery
-- ARGV[8] result      of the attempt, or ''
-- ARGV[9] record      of the attempt, or ''
--
-- Answers 1, or 0 when another delivery has the task.
--
--- @include lua/lib/publish.lua
--- @include lua/lib/fence.lua
--- @include lua/lib/end_attempt.lua
--- @include lua/lib/count_failure.lua

local task, active, leases, retry = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local processed_day, failed_day, processed, failed = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local id, message, due, expires, counts, largest = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1', ARGV[6]
local token, result, record = ARGV[7], ARGV[8], ARGV[9]

local mine, watched, revoked = owned(task, token)
if not mine then return 0 end
if not end_attempt(active, leases, task, id, result, record) then return redis.error_reply('NOT FOUND') end
redis.call('ZADD', retry, revoked and 0 or due, id)
redis.call('HSET', task, 'msg', message, 'state', 'retry')
if counts then count_failure(processed_day, failed_day, processed, failed, expires, largest) end
if watched then publish({'+' .. id}) end
return 1
