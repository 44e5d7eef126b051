-- Looks for the tasks of a life that has ended, among some of the active ones, and prolongs the claim of who takes them over.
--
-- KEYS[1] active
-- KEYS[2] ended       lives that have ended
-- ARGV[1] life
-- ARGV[2] skip        number of the oldest active tasks to skip
-- ARGV[3] size        number to look at
-- ARGV[4] tasks       prefix of the tasks' keys
-- ARGV[5] claim       in ms
--
-- Answers how many it looked at, how many are active, and ids and tokens of those that the life has, the oldest last: none when
-- another worker has finished with the life.
--
--- @include lua/lib/clock.lua
--- @include lua/lib/holder.lua
--- @include lua/lib/despite_full.lua

local active, ended = KEYS[1], KEYS[2]
local life, skip, size, tasks, claim = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])

if not redis.call('ZSCORE', ended, life) then return {0, 0, {}} end
despite_full(ended)
redis.call('ZADD', ended, now + claim, life)
local found = {}
local ids = redis.call('LRANGE', active, -skip - size, -skip - 1)
for _, id in ipairs(ids) do
	local held = redis.call('HMGET', tasks .. id, 'owner', 'pending_since')
	local owner, since = held[1], held[2]
	if holder(owner, since) == life then
		found[#found + 1] = id
		found[#found + 1] = owner
	end
end
return {#ids, redis.call('LLEN', active), found}
