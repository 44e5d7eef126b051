-- Gives up a load. Unlike redisx.ReleaseLease it deletes the new set, whoever holds the lease by now.
--
-- KEYS[1] … KEYS[3] those of the list: see lua/lib/list.lua
-- KEYS[4] fresh     the new set
-- ARGV[1] token
--
-- Answers 1.
--
--- @include redisx/lease.lua
--- @include lua/lib/list.lua

local fresh, token = KEYS[4], ARGV[1]

redis.call('UNLINK', fresh)
if holds_lease(lease, token) then redis.call('DEL', lease) end
return 1
