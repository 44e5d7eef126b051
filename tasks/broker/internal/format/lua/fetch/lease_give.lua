-- Gives leases to active tasks that have none, and takes those out of the list that are gone.
--
-- KEYS[1] active
-- KEYS[2] leases
-- KEYS[3] lives       of the queue
-- ARGV[1] skip        number of the oldest active tasks to skip
-- ARGV[2] size        number to look at
-- ARGV[3] tasks       prefix of the tasks' keys
-- ARGV[4] lease_time  in s, of a task that a living worker has; that of another ends at once
--
-- Answers how many it looked at, how many leases it gave, and how many tasks it took out.
--
--- @include lua/lib/clock.lua
--- @include lua/lib/holder.lua
--- @include lua/lib/despite_full.lua

local active, leases, lives = KEYS[1], KEYS[2], KEYS[3]
local skip, size, tasks, lease_time = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

despite_full(leases)
local second = math.floor(now / 1000)
local ids, given, gone = redis.call('LRANGE', active, -skip - size, -skip - 1), 0, 0
for _, id in ipairs(ids) do
	local held = redis.call('HMGET', tasks .. id, 'state', 'owner', 'pending_since')
	local state, owner, since = held[1], held[2], held[3]
	if not state then
		gone = gone + redis.call('LREM', active, 0, id)
		redis.call('ZREM', leases, id)
	elseif state == 'active' and not redis.call('ZSCORE', leases, id) then
		local life = holder(owner, since)
		local lives_on = life and redis.call('ZSCORE', lives, life)
		redis.call('ZADD', leases, lives_on and second + lease_time or second, id)
		given = given + 1
	end
end
return {#ids, given, gone}
