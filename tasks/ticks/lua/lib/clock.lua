-- Ticks go by Redis's clock. Before the include stands: local tolerance, the seconds that a clock may be ahead of it.
local clock = tonumber(redis.call('TIME')[1])
local horizon = clock + tolerance

-- takeBack undoes what was written of an entry while a clock was wrong: a settled tick, or a claim, in the future is taken
-- back to Redis's clock. The claim's tick gets the same id when it is claimed again.
local function takeBack(entry)
  local state = redis.call('HMGET', entry, 'settled', 'claim')
  local settled, claim = tonumber(state[1] or ''), tonumber(state[2] or '')
  if settled and settled > horizon then redis.call('HSET', entry, 'settled', clock) end
  if claim and claim > horizon then
    redis.call('HDEL', entry, 'claim', 'claim_id', 'claim_queue', 'claim_at')
  end
end
