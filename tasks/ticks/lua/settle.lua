-- Settles the ticks up to one whose task is enqueued, and closes its claim. An entry without a settled tick was forgotten.
-- KEYS[1] the state of the entry
-- ARGV[1] the tick
-- ARGV[2] the id of its task, "" for none
-- ARGV[3] the tick after it, "" for none
-- Answers 1, or 0 when the tick was settled already.
local entry = KEYS[1]
local tick, id, nextTick = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local state = redis.call('HMGET', entry, 'settled', 'claim')
local settled, claim = tonumber(state[1] or ''), tonumber(state[2] or '')
if not settled then return 0 end
if claim and claim <= tick then
  redis.call('HDEL', entry, 'claim', 'claim_id', 'claim_queue', 'claim_at')
end
if tick <= settled then return 0 end
redis.call('HSET', entry, 'settled', tick)
if id ~= '' then redis.call('HSET', entry, 'ran', tick, 'task_id', id) end
if nextTick ~= '' then redis.call('HSET', entry, 'next', nextTick) end
return 1
