-- Answers a request, and notes the task that it became.
-- KEYS[1] the requests
-- KEYS[2] the requests that were taken
-- KEYS[3] the answer
-- KEYS[4] the state of the entry
-- KEYS[5] the log of the entry
-- ARGV[1] the id of the request
-- ARGV[2] the answer
-- ARGV[3] the id of its task, "" for none
-- ARGV[4] milliseconds for which the answer is kept
-- Answers 1, or 0 when it was answered before.
local requests, taken, answer, entry, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, text, task, kept = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
--- @include lua/lib/log.lua
local first = redis.call('SETNX', answer, text) == 1
redis.call('PEXPIRE', answer, kept)
redis.call('HDEL', requests, id)
redis.call('HDEL', taken, id)
if not first then return 0 end
if task ~= '' and redis.call('HEXISTS', entry, 'settled') == 1 then
  redis.call('HSET', entry, 'manual_id', task)
  writeLog(log, redis.call('TIME')[1], 'manual', 1, task)
end
return 1
