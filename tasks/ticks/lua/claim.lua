-- Claims a tick, unless another is claimed.
-- KEYS[1] the hash of the schedule in force
-- KEYS[2] the state of the entry
-- KEYS[3] the ticks of the entry that wait
-- ARGV[1] seconds that a clock may be ahead of Redis's
-- ARGV[2] the hash of the schedule
-- ARGV[3] the entry's rule
-- ARGV[4] the tick
-- ARGV[5] the id of its task
-- ARGV[6] the queue of its task
-- ARGV[7] how many ticks the entry has, 0 for no maximum
-- ARGV[8] 1 when the last tasks of the entry must be those that the scheduler has seen
-- ARGV[9] the last task of a tick that it has seen, "" for none
-- ARGV[10] the last task of a run by hand that it has seen, "" for none
-- Answers {'superseded'}, {'early'}, {'settled'}, {'exhausted'}, or {'changed'} when the last tasks are others, or another tick
-- waits before this one; or {'go' or 'in_doubt', tick, id, queue, age} of the claim that is open, 'in_doubt' when it is of an
-- earlier tick. A claim of a later tick means that a scheduler has skipped this one.
local current, entry, waiting = KEYS[1], KEYS[2], KEYS[3]
local tolerance, schedule, rule, tick = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local id, queue, most = ARGV[5], ARGV[6], tonumber(ARGV[7])
local ordered, seenTask, seenManual = ARGV[8] == '1', ARGV[9], ARGV[10]
--- @include lua/lib/clock.lua
--- @include lua/lib/claim.lua
--- @include lua/lib/begin.lua
local oldest = ordered and redis.call('LRANGE', waiting, 0, 0)[1]
local refused = refusal(oldest and tonumber(oldest) == tick)
if refused then return {refused} end
local claim = openClaim(entry)
if not claim then
  local state = redis.call('HMGET', entry, 'task_id', 'manual_id', 'count')
  if most > 0 and (tonumber(state[3] or '') or 0) >= most then return {'exhausted'} end
  if ordered and ((state[1] or '') ~= seenTask or (state[2] or '') ~= seenManual) then return {'changed'} end
  if oldest and tonumber(oldest) ~= tick then return {'changed'} end
  redis.call('HSET', entry, 'claim', tick, 'claim_id', id, 'claim_queue', queue, 'claim_at', clock)
  return {'go', tostring(tick), id, queue, '0'}
end
if tonumber(claim.tick) > tick then return {'settled'} end
local answer = 'go'
if tonumber(claim.tick) < tick then answer = 'in_doubt' end
return {answer, claim.tick, claim.id, claim.queue, claim.age}
