-- Reads the cached counts of a user, or else takes the lease of whoever may fill them.
--
-- KEYS[1] cached  hash
-- KEYS[2] lease   the token of whoever may fill
-- ARGV[1] token
-- ARGV[2] life    of the lease, in ms
-- ARGV[3] …       fields of the hash, all of them
--
-- Answers the values of the fields; or 'mine' when the token now holds the lease; or 'busy' when another token does. A key of
-- another type is replaced.
--
--- @include redisx/lease.lua

local cached, lease = KEYS[1], KEYS[2]
local token, life, first_field = ARGV[1], ARGV[2], 3

local is = redis.call('TYPE', cached)['ok']
if is == 'hash' then
	return redis.call('HMGET', cached, unpack(ARGV, first_field))
elseif is ~= 'none' then
	redis.call('DEL', cached)
end
return acquire_lease(lease, token, life) and 'mine' or 'busy'
