-- Settles the ticks up to one whose task is enqueued, and closes its claim. An entry without a settled tick was forgotten.
-- KEYS[1] the state of the entry
-- KEYS[2] the log of the entry
-- KEYS[3] the ticks of the entry that wait
-- ARGV[1] the tick
-- ARGV[2] the id of its task, "" for none
-- ARGV[3] the tick after it, "" for none
-- Answers 1, or 0 when the tick was settled already.
local entry, log, waiting = KEYS[1], KEYS[2], KEYS[3]
local tick, id, nextTick = tonumber(ARGV[1]), ARGV[2], ARGV[3]
--- @include lua/lib/log.lua
local state = redis.call('HMGET', entry, 'settled', 'claim')
local settled, claim = tonumber(state[1] or ''), tonumber(state[2] or '')
if not settled then return 0 end
local waited = redis.call('LREM', waiting, 1, ARGV[1]) > 0
if claim and claim <= tick then
  redis.call('HDEL', entry, 'claim', 'claim_id', 'claim_queue', 'claim_at')
end
if tick <= settled and not waited then return 0 end
if id ~= '' then
  redis.call('HSET', entry, 'ran', tick, 'task_id', id)
  if redis.call('HEXISTS', entry, 'count_of') == 1 then redis.call('HINCRBY', entry, 'count', 1) end
  writeLog(log, ARGV[1], 'enqueued', 1, id)
else
  writeLog(log, ARGV[1], 'failed', 1, '')
end
if tick > settled then
  redis.call('HSET', entry, 'settled', tick)
  if nextTick ~= '' then redis.call('HSET', entry, 'next', nextTick) else redis.call('HDEL', entry, 'next') end
end
return 1
