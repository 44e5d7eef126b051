-- Reads the version of a sale that is sold out.
--
-- KEYS[1] sale
-- KEYS[2] admitted    by user
-- KEYS[3] pending     by task
-- KEYS[4] load
--
-- Answers generation, left and admitted, or nothing when the sale is not open or has pieces left.

--- @include lua/lib/clock.lua

local sale_key, admitted = KEYS[1], KEYS[2]
local now = now_ms()
local sale = redis.call('HMGET', sale_key, 'total', 'starts_at', 'ends_at', 'generation', 'left')
local total, starts_at, ends_at, generation, left = sale[1], sale[2], sale[3], sale[4], sale[5]
if not generation or total == '-1' then return {} end
if now < tonumber(starts_at) or now >= tonumber(ends_at) then return {} end
local users = redis.call('HLEN', admitted)
if users < tonumber(total) then return {} end
return {generation, tonumber(left or '0'), users}
