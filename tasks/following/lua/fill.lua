-- Ends a load: the new set becomes the list, unless the lease is lost, or a part of the new set is.
--
-- KEYS[1] … KEYS[3] those of the list: see lua/lib/list.lua
-- KEYS[4] fresh     the new set
-- ARGV[1] token
-- ARGV[2] state
-- ARGV[3] size      how many entries the new set must have
-- ARGV[4] life      of the list, in ms
--
-- Answers 1 if the new set is the list now, else 0.
--
--- @include redisx/lease.lua
--- @include lua/lib/list.lua

local fresh = KEYS[4]
local token, state, size, life = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local whole = redis.call('ZCARD', fresh) == size
if not holds_lease(lease, token) then
	redis.call('UNLINK', fresh)
	return 0
end
redis.call('DEL', lease)
if not whole then
	redis.call('UNLINK', fresh)
	return 0
end
redis.call('UNLINK', list, state_key)
if state ~= 'empty' then
	redis.call('RENAME', fresh, list)
	redis.call('PEXPIRE', list, life)
end
redis.call('SET', state_key, state, 'PX', life)
return 1
