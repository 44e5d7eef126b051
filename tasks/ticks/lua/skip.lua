-- Settles the ticks up to one that is not to be enqueued, unless there is a claim.
-- KEYS[1] the hash of the schedule in force
-- KEYS[2] the state of the entry
-- ARGV[1] seconds that a clock may be ahead of Redis's
-- ARGV[2] the hash of the schedule
-- ARGV[3] the entry's rule
-- ARGV[4] the tick
-- ARGV[5] the tick after it, "" for none
-- Answers {'superseded'}, {'early'} or {'settled'}; or {'in_doubt', tick, id, queue, age} of the claim that is open.
local current, entry = KEYS[1], KEYS[2]
local tolerance, schedule, rule, tick = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local nextTick = ARGV[5]
--- @include lua/lib/clock.lua
--- @include lua/lib/claim.lua
--- @include lua/lib/begin.lua
local refused = refusal()
if refused then return {refused} end
local claim = openClaim(entry)
if claim then return {'in_doubt', claim.tick, claim.id, claim.queue, claim.age} end
redis.call('HSET', entry, 'settled', tick)
if nextTick ~= '' then redis.call('HSET', entry, 'next', nextTick) end
return {'settled'}
