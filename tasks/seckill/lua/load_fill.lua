-- Publishes the sale and ends the loading. The token becomes the sale's generation, unless the sale is the same as before.
--
-- KEYS[1] sale
-- KEYS[2] admitted    by user
-- KEYS[3] pending     by task
-- KEYS[4] load
-- ARGV[1] token
-- ARGV[2] total
-- ARGV[3] starts_at    ms since 1970
-- ARGV[4] ends_at      ms since 1970
-- ARGV[5] keep         how long the sale stays after its end, in ms
-- ARGV[6] least        how long it stays at least, in ms
--
-- Answers 1, or 0 when the loading is not the token's any more.

--- @include lua/lib/clock.lua
--- @include redisx/lease.lua

local sale_key, load = KEYS[1], KEYS[4]
local token, total, starts_at, ends_at = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local keep, least = tonumber(ARGV[5]), tonumber(ARGV[6])
if not holds_lease(load, token) then return 0 end
local ttl = math.max(tonumber(ends_at) + keep - now_ms(), least)
local old = redis.call('HMGET', sale_key, 'total', 'starts_at', 'ends_at', 'generation')
local old_total, old_starts_at, old_ends_at, generation = old[1], old[2], old[3], old[4]
redis.call('DEL', load)
if not generation or old_total ~= total or old_starts_at ~= starts_at or old_ends_at ~= ends_at then
	redis.call('DEL', sale_key)
	redis.call('HSET', sale_key, 'total', total, 'starts_at', starts_at, 'ends_at', ends_at, 'generation', token)
end
redis.call('PEXPIRE', sale_key, string.format('%.0f', ttl))
return 1
