-- Counts the workers of a queue that live.
--
-- KEYS[1] lives     of the queue, by their last beat (ms)
-- ARGV[1] limit     how long ago the last beat may be, in ms
--
-- Answers how many.
--
--- @include lua/lib/clock.lua

local lives = KEYS[1]
local limit = tonumber(ARGV[1])

return redis.call('ZCOUNT', lives, now - limit, '+inf')
