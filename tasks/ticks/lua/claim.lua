-- Claims a tick, unless another is claimed.
-- KEYS[1] the hash of the schedule in force
-- KEYS[2] the state of the entry
-- ARGV[1] seconds that a clock may be ahead of Redis's
-- ARGV[2] the hash of the schedule
-- ARGV[3] the entry's rule
-- ARGV[4] the tick
-- ARGV[5] the id of its task
-- ARGV[6] the queue of its task
-- Answers {'superseded'}, {'early'} or {'settled'}; or {'go' or 'in_doubt', tick, id, queue, age} of the claim that is open,
-- 'in_doubt' when it is of an earlier tick. A claim of a later tick means that a scheduler has skipped this one.
local current, entry = KEYS[1], KEYS[2]
local tolerance, schedule, rule, tick = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local id, queue = ARGV[5], ARGV[6]
--- @include lua/lib/clock.lua
--- @include lua/lib/claim.lua
--- @include lua/lib/begin.lua
local refused = refusal()
if refused then return {refused} end
local claim = openClaim(entry)
if not claim then
  redis.call('HSET', entry, 'claim', tick, 'claim_id', id, 'claim_queue', queue, 'claim_at', clock)
  return {'go', tostring(tick), id, queue, '0'}
end
if tonumber(claim.tick) > tick then return {'settled'} end
local answer = 'go'
if tonumber(claim.tick) < tick then answer = 'in_doubt' end
return {answer, claim.tick, claim.id, claim.queue, claim.age}
