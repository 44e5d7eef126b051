-- Adds entries to the new set of a load, and extends its lease.
--
-- KEYS[1] … KEYS[3] those of the list: see lua/lib/list.lua
-- KEYS[4] fresh     the new set
-- ARGV[1] token
-- ARGV[2] life      of the lease, in ms
-- ARGV[3] fresh_life  of the new set, in ms
-- ARGV[4] most      how many entries it keeps, the newest
-- then of each entry
-- ARGV    score
-- ARGV    member
--
-- Answers 1; or 0, and deletes the new set, when the lease is lost.
--
--- @include redisx/lease.lua
--- @include lua/lib/list.lua

local fresh = KEYS[4]
local token, life, fresh_life, most, first_entry = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), 5

if not holds_lease(lease, token) then
	redis.call('UNLINK', fresh)
	return 0
end
redis.call('PEXPIRE', lease, life)
redis.call('ZADD', fresh, unpack(ARGV, first_entry))
redis.call('PEXPIRE', fresh, fresh_life)
local over = redis.call('ZCARD', fresh) - most
if over > 0 then redis.call('ZREMRANGEBYRANK', fresh, 0, over - 1) end
return 1
