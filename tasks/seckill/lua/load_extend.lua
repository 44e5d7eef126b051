-- Renews the loader's lease.
--
-- KEYS[1] sale
-- KEYS[2] admitted    by user
-- KEYS[3] pending     by task
-- KEYS[4] load
-- ARGV[1] token
-- ARGV[2] life     of the token, in ms
--
-- Answers 1, or 0 when the loading is not the token's any more.

--- @include lua/lib/token.lua

local load = KEYS[4]
local token, life = ARGV[1], ARGV[2]
if not holds(load, token) then return 0 end
return redis.call('PEXPIRE', load, life)
