-- Gives a lease up.
--
-- KEYS[1] lease
-- ARGV[1] token
--
-- Answers 1, or 0 when the token does not hold the lease.
--
--- @include redisx/lease.lua

local lease, token = KEYS[1], ARGV[1]

if not holds_lease(lease, token) then return 0 end
return redis.call('DEL', lease)
