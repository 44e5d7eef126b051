-- Ends a loading that filled nothing.
--
-- KEYS[1] sale
-- KEYS[2] admitted    by user
-- KEYS[3] pending     by task
-- KEYS[4] load
-- ARGV[1] token
--
-- Answers 1, or 0 when the loading is not the token's any more.

--- @include lua/lib/token.lua

local load = KEYS[4]
local token = ARGV[1]
if not holds(load, token) then return 0 end
return redis.call('DEL', load)
