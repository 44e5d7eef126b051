-- Reads the value, or else takes the lease of whoever may fill it.
--
-- KEYS[1] value   the JSON; '-1' is null: not in the database
-- KEYS[2] lease   the token of whoever may fill
-- ARGV[1] token
-- ARGV[2] life    of the lease, in ms
-- ARGV[3] broken  a value that counts as missing; '' is none
--
-- Answers the value; or 1 when the token now holds the lease; or 0 when another token does. An empty value and a key of
-- another type count as missing.
--
--- @include redisx/lease.lua

local value_key, lease = KEYS[1], KEYS[2]
local token, life, broken = ARGV[1], ARGV[2], ARGV[3]

local value = redis.pcall('GET', value_key)
if type(value) == 'table' then value = '' end
if value and value ~= '' and value ~= broken then return value end
if value then redis.call('DEL', value_key) end
return acquire_lease(lease, token, life) and 1 or 0
