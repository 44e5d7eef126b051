-- The entry's open claim. Before the include stand: clock, of clock.lua.
local function openClaim(entry)
  local state = redis.call('HMGET', entry, 'claim', 'claim_id', 'claim_queue', 'claim_at')
  if not state[1] then return nil end
  return {tick = state[1], id = state[2], queue = state[3], age = tostring(clock - tonumber(state[4]))}
end
