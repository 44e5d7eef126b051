-- Removes all that Redis holds of the goods. Reservations outlive their sale.
--
-- KEYS[1] sale
-- KEYS[2] admitted    by user
-- KEYS[3] pending     by task
-- KEYS[4] load
-- ARGV[1] token
--
-- Answers 1, or 0 when there are reservations or the loading is not the token's any more.

--- @include redisx/lease.lua

local sale_key, admitted, pending, load = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token = ARGV[1]
if not holds_lease(load, token) then return 0 end
if redis.call('EXISTS', pending) == 1 then return 0 end
redis.call('DEL', sale_key, admitted, load)
return 1
