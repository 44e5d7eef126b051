-- Closes a window.
--
-- KEYS[1] … KEYS[7] those of the kind: see lua/lib/kind.lua
-- ARGV[1] token
--
-- Answers the users who were noted, or nothing when the window is lost.
--
--- @include lua/lib/kind.lua

local token = ARGV[1]

if not holds_window(token) then return false end
local users = redis.call('SMEMBERS', noted)
redis.call('DEL', window, noted, frozen)
return users
