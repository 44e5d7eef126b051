-- Stores a value, if the token holds the lease, which it gives up.
--
-- KEYS[1] value        the JSON; '-1' is null: not in the database
-- KEYS[2] lease        the token of whoever may fill
-- KEYS[3] last         the last known value, of caches that serve stale ones
-- KEYS[4] marker       of a change that was applied; left out where there is none
-- ARGV[1] token
-- ARGV[2] json         the value
-- ARGV[3] life         of the value, in ms
-- ARGV[4] last_life    of the last known value, in ms; '0' stores none
-- ARGV[5] marker_life  in ms
-- ARGV[6] channel
-- ARGV[7] message      published when the value is stored; '' publishes none
--
-- Answers 1 when it stored the value, and 0 when the token does not hold the lease. The writes that Redis may refuse come
-- first; a message that it refuses fails nothing.
--
--- @include redisx/lease.lua

local value, lease, last, marker = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, json, life, last_life, marker_life = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local channel, message = ARGV[6], ARGV[7]

if not holds_lease(lease, token) then return 0 end
redis.call('SET', value, json, 'PX', life)
if last_life ~= '0' then redis.call('SET', last, json, 'PX', last_life) end
redis.call('DEL', lease)
if marker then redis.call('SET', marker, '1', 'PX', marker_life) end
if message ~= '' then redis.pcall('PUBLISH', channel, message) end
return 1
