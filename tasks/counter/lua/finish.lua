-- Notes that a reconciliation of all users has ended: the counts are complete.
--
-- KEYS[1] … KEYS[7] those of the kind: see lua/lib/kind.lua
-- ARGV[1] run       token of the reconciliation
--
-- Answers 1, or 0 when something was lost since it began.
--
--- @include lua/lib/kind.lua

local run = ARGV[1]

forget_if_lost()
if redis.call('HDEL', built, 'run:' .. run) == 1 then
	redis.call('HSET', built, 'at', string.format('%.0f', now()))
end
return redis.call('HEXISTS', built, 'at')
