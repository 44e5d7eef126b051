-- Looks for tasks that are watched whose end was not told.
--
-- KEYS[1] scheduled   not used
-- KEYS[2] retry       not used
--
-- then in KEYS the keys of the tasks.
--
-- Answers the numbers of those tasks, from 1, that have ended, are gone or are not marked as watched.
--
--- @include lua/lib/final.lua

local numbers = {}
for i = 1, #KEYS - 2 do
	local task = KEYS[i + 2]
	local has = redis.call('HMGET', task, 'state', 'revoked', 'watch')
	local state, revoked, watched = has[1], has[2], has[3]
	if not state or not watched or final(state, revoked) then numbers[#numbers + 1] = i end
end
return numbers
