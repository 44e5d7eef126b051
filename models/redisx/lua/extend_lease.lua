-- Lets a lease live on.
--
-- KEYS[1] lease
-- ARGV[1] token
-- ARGV[2] life  from now on, in ms
--
-- Answers 1, or 0 when the token does not hold the lease.
--
--- @include redisx/lease.lua

local lease, token, life = KEYS[1], ARGV[1], ARGV[2]

if not holds_lease(lease, token) then return 0 end
return redis.call('PEXPIRE', lease, life)
