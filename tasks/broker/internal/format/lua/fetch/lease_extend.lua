-- Extends leases, as asynq does, but by Redis's clock and also when Redis is full.
--
-- KEYS[1] leases
-- ARGV[1] lease_time  in s
--
-- then in ARGV the ids of the tasks.
--
-- Answers 1.
--
--- @include lua/lib/clock.lua
--- @include lua/lib/despite_full.lua

local leases = KEYS[1]
local lease_time = tonumber(ARGV[1])

despite_full(leases)
local ends = math.floor(now / 1000) + lease_time
for i = 2, #ARGV do redis.call('ZADD', leases, 'XX', ends, ARGV[i]) end
return 1
