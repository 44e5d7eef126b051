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
-- ARGV[8] the hash of the plan's file
-- ARGV[9] what the plan knows of the table: none, when it has no database; unknown; or read
-- ARGV[10] the revision of the table, when it is read
-- ARGV[11] 1 when the file was announced before, so that the plan yields to another file that was heard lately
-- ARGV[12] what the names of entries follow in the keys of their logs
-- ARGV[13] ... of their ticks that wait
-- ARGV[14] ... and of what is known of those that are gone
-- ARGV[15] seconds that a change of an entry may be ago
-- ARGV[16] the names of the table's entries that the scheduler can't run, by spaces
-- and for each entry: its name, its rule, its JSON, its next tick or "", up to when it's known to be settled or "", when an
-- operator changed it or "", what its count belongs to or "", and its count where Redis has none
-- Answers {'standby'}; {'outdated', revision}, when the plan's table is older than the one in force; {'open', claims}, when
-- claims have to be completed first, each as {entry, tick, id, queue, age}; or {'in_force', the settled tick of each entry, the
-- secret}.
local current, entries = KEYS[1], KEYS[2]
local tolerance, prefix, hash, yields = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4] == '1'
local now, silence, secret = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local file, tableIs, revision, sameFile = ARGV[8], ARGV[9], tonumber(ARGV[10]), ARGV[11] == '1'
local logs, waits, gone, recent = ARGV[12], ARGV[13], ARGV[14], tonumber(ARGV[15])
local leftOut = {}
for name in string.gmatch(ARGV[16], '%S+') do leftOut[name] = true end
local fixed, fields = 16, 8
local goneKept = 7200000 -- milliseconds for which an entry that is gone is remembered
--- @include lua/lib/clock.lua
--- @include lua/lib/claim.lua
--- @include lua/lib/current.lua
if now > horizon then now = clock end

local plan = {}
for base = fixed, #ARGV - fields, fields do
  local name, rule, json, nextTick, known, since, countOf, count = unpack(ARGV, base + 1, base + fields)
  table.insert(plan, {
    name = name, rule = rule, json = json, nextTick = nextTick, known = tonumber(known), state = prefix .. name,
    since = tonumber(since), countOf = countOf, count = count,
  })
end

local before = inForce.hash
if before and before ~= hash then
  local heard = clock - inForce.seen < silence
  local better = false
  if tableIs == 'read' then
    if revision < inForce.revision then return {'outdated', inForce.revision} end
    better = revision > 0 and inForce.alone
  elseif tableIs == 'unknown' then
    if inForce.revision > 0 then return {'outdated', inForce.revision} end
  elseif heard and inForce.revision > 0 and not inForce.alone then
    return {'standby'}
  end
  if heard and next(leftOut) and inForce.revision == revision and not inForce.alone then return {'standby'} end
  if heard and not better and (yields or sameFile and file ~= inForce.file) then return {'standby'} end
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
  if redis.call('HEXISTS', entries, entry.name) == 0 then redis.call('DEL', logs .. entry.name, waits .. entry.name) end
  local state = redis.call('HMGET', entry.state, 'rule', 'settled', 'count_of')
  local rule, settled, countOf = state[1], tonumber(state[2] or ''), state[3]
  if rule ~= entry.rule then
    -- It begins now, or when an operator made it so: its ticks since then are not lost.
    local from = now
    if entry.since and entry.since < now and now - entry.since <= (before and recent or 600) then from = entry.since end
    if not settled then settled = tonumber(redis.call('GET', gone .. entry.name) or '') end
    if settled and settled > from and settled <= horizon then from = settled end
    if not before and entry.known and entry.known <= horizon then from = entry.known end
    settled = from
    redis.call('HSET', entry.state, 'rule', entry.rule, 'settled', settled)
    redis.call('DEL', waits .. entry.name)
  end
  if entry.countOf == '' then
    redis.call('HDEL', entry.state, 'count_of', 'count')
  elseif countOf ~= entry.countOf then
    redis.call('HSET', entry.state, 'count_of', entry.countOf, 'count', before and '0' or entry.count)
  end
  if entry.nextTick == '' then
    redis.call('HDEL', entry.state, 'next')
  else
    redis.call('HSET', entry.state, 'next', entry.nextTick)
  end
  redis.call('HSET', entries, entry.name, entry.json)
  table.insert(settledTicks, tostring(settled))
end
for _, name in ipairs(redis.call('HKEYS', entries)) do
  if not planned[name] and not leftOut[name] then
    -- An entry of this name that comes back soon begins after what was settled or claimed.
    local state = redis.call('HMGET', prefix .. name, 'settled', 'claim')
    local last = math.max(tonumber(state[1] or '') or 0, tonumber(state[2] or '') or 0)
    if last > 0 then redis.call('SET', gone .. name, last, 'PX', goneKept) end
    redis.call('HDEL', entries, name)
    redis.call('DEL', prefix .. name, logs .. name, waits .. name)
  end
end
redis.call('HSET', current, 'hash', hash, 'seen', clock, 'of', hash, 'file', file, 'table', tableIs)
if tableIs == 'read' and revision > inForce.revision then redis.call('HSET', current, 'revision', revision) end
redis.call('HSETNX', current, 'secret', secret)
return {'in_force', settledTicks, redis.call('HGET', current, 'secret')}
