-- Takes the lease, whoever holds it, to rewrite the value.
--
-- KEYS[1] value
-- KEYS[2] lease    the token of whoever may fill
-- KEYS[3] last     the last known value, of caches that serve stale ones
-- KEYS[4] marker   of a change that was applied; left out where there is none
-- ARGV[1] token
-- ARGV[2] life     of the lease, in ms
-- ARGV[3] drop     '1' to delete the value
-- ARGV[4] stale    how long the last known value lives on when the value is deleted, in ms; '0' leaves it
-- ARGV[5] channel
-- ARGV[6] message  published when the value is deleted
--
-- Answers 1; or 0, having done nothing, when the marker is there. A message that Redis refuses fails nothing: what other
-- processes keep lives until it expires.
--
--- @include lua/lib/shorten.lua

local value, lease, last, marker = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, life, drop, stale, channel, message = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

if marker and redis.call('EXISTS', marker) == 1 then return 0 end
redis.call('SET', lease, token, 'PX', life)
if drop == '1' then
	redis.call('DEL', value)
	shorten(last, stale)
	redis.pcall('PUBLISH', channel, message)
end
return 1
