-- Puts a plan in force: its entries get their rules and next ticks, and others are forgotten with what was claimed of them.
-- KEYS[1] the hash of the schedule in force
-- KEYS[2] the hash of its entries
-- ARGV[1] seconds that a clock may be ahead of Redis's
-- ARGV[2] what the names of entries follow in the keys of their states
-- ARGV[3] the plan's hash
-- ARGV[4] 1 when the plan yields to another schedule that was heard lately
-- ARGV[5] the scheduler's time, in seconds
-- ARGV[6] seconds for which a schedule counts as heard
-- ARGV[7] the secret where Redis has none
-- and for each entry: its name, its rule, its JSON, its next tick or "", and up to when it's known to be settled or ""
-- Answers {'standby'}; {'open', claims}, when claims have to be completed first, each as {entry, tick, id, queue, age}; or
-- {'in_force', the settled tick of each entry, the secret}.
local current, entries = KEYS[1], KEYS[2]
local tolerance, prefix, hash, yields = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4] == '1'
local now, silence, secret = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
--- @include lua/lib/clock.lua
--- @include lua/lib/claim.lua
if now > horizon then now = clock end

local plan = {}
for base = 7, #ARGV - 5, 5 do
  local name, rule, json, nextTick, known = unpack(ARGV, base + 1, base + 5)
  table.insert(plan, {
    name = name, rule = rule, json = json, nextTick = nextTick, known = tonumber(known), state = prefix .. name,
  })
end

local inForce = redis.call('HMGET', current, 'hash', 'seen')
local before, seen = inForce[1], tonumber(inForce[2] or '')
if yields and before and before ~= hash and clock - seen < silence then
  return {'standby'}
end

local open = {}
for _, entry in ipairs(plan) do
  takeBack(entry.state)
  local rule, claim = redis.call('HGET', entry.state, 'rule'), openClaim(entry.state)
  if rule and claim and rule ~= entry.rule then
    table.insert(open, {entry.name, claim.tick, claim.id, claim.queue, claim.age})
  end
end
if #open > 0 then return {'open', open} end

local planned, settledTicks = {}, {}
for _, entry in ipairs(plan) do
  planned[entry.name] = true
  local state = redis.call('HMGET', entry.state, 'rule', 'settled')
  local rule, settled = state[1], state[2]
  if rule ~= entry.rule then
    local from = now
    if settled and tonumber(settled) > now then from = settled end
    if not before and entry.known and entry.known <= horizon then from = entry.known end
    settled = tostring(from)
    redis.call('HSET', entry.state, 'rule', entry.rule, 'settled', settled)
  end
  if entry.nextTick == '' then
    redis.call('HDEL', entry.state, 'next')
  else
    redis.call('HSET', entry.state, 'next', entry.nextTick)
  end
  redis.call('HSET', entries, entry.name, entry.json)
  table.insert(settledTicks, settled)
end
for _, name in ipairs(redis.call('HKEYS', entries)) do
  if not planned[name] then
    redis.call('HDEL', entries, name)
    redis.call('DEL', prefix .. name)
  end
end
redis.call('HSET', current, 'hash', hash, 'seen', clock)
redis.call('HSETNX', current, 'secret', secret)
return {'in_force', settledTicks, redis.call('HGET', current, 'secret')}
