-- Settles the ticks up to one that is not to be enqueued, unless there is a claim.
-- KEYS[1] the hash of the schedule in force
-- KEYS[2] the state of the entry
-- KEYS[3] the log of the entry
-- KEYS[4] the ticks of the entry that wait
-- ARGV[1] seconds that a clock may be ahead of Redis's
-- ARGV[2] the hash of the schedule
-- ARGV[3] the entry's rule
-- ARGV[4] the tick
-- ARGV[5] the tick after it, "" for none
-- ARGV[6] why, for the log; "" writes none
-- ARGV[7] how many ticks these are
-- ARGV[8] how many ticks may wait: then it waits, instead of being skipped, and of more the oldest is skipped; 0 for none
-- ARGV[9] how many ticks the entry may have, 0 for no maximum
-- Answers {'superseded'}, {'early'}, {'settled'} or {'exhausted'}; or {'in_doubt', tick, id, queue, age} of the claim that is open.
local current, entry, log, waiting = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local tolerance, schedule, rule, tick = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local nextTick, why, ticks, room, most = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
--- @include lua/lib/clock.lua
--- @include lua/lib/claim.lua
--- @include lua/lib/begin.lua
--- @include lua/lib/log.lua
local refused = refusal()
if refused then return {refused} end
local claim = openClaim(entry)
if claim then return {'in_doubt', claim.tick, claim.id, claim.queue, claim.age} end
if most > 0 and (tonumber(redis.call('HGET', entry, 'count') or '') or 0) >= most then return {'exhausted'} end
if room > 0 then
  redis.call('RPUSH', waiting, tick)
  while redis.call('LLEN', waiting) > room do
    local oldest = redis.call('LRANGE', waiting, 0, 0)[1]
    redis.call('LREM', waiting, 1, oldest)
    writeLog(log, oldest, why, 1, '')
  end
elseif why ~= '' then
  writeLog(log, tick, why, ticks, '')
end
redis.call('HSET', entry, 'settled', tick)
if nextTick ~= '' then redis.call('HSET', entry, 'next', nextTick) else redis.call('HDEL', entry, 'next') end
return {'settled'}
