-- Caches the counts of a user, if the token holds the lease, which it gives up.
--
-- KEYS[1] cached  hash
-- KEYS[2] lease   the token of whoever may fill
-- ARGV[1] token
-- ARGV[2] life    of the hash, in ms
-- then of each field
-- ARGV    field
-- ARGV    value
--
-- Answers 1, or 0 when the token does not hold the lease.
--
--- @include redisx/lease.lua

local cached, lease = KEYS[1], KEYS[2]
local token, life, first_field = ARGV[1], ARGV[2], 3

if not holds_lease(lease, token) then return 0 end
redis.call('DEL', cached, lease)
for i = first_field, #ARGV, 2 do
	local field, value = ARGV[i], ARGV[i + 1]
	redis.call('HSET', cached, field, value)
end
redis.call('PEXPIRE', cached, life)
return 1
