-- Reads what there is to compare of a list, and deletes what is no list, or does not expire.
--
-- KEYS[1] … KEYS[3] those of the list: see lua/lib/list.lua
--
-- Answers the state, the number of entries, and the oldest one with its score; 0 when nothing is there, and 1 when something
-- that is no list was.
--
--- @include lua/lib/list.lua

local state, n = get_state()
if state and redis.call('PTTL', state_key) > 0 and (n == 0 or redis.call('PTTL', list) > 0) then
	return {state, n, redis.call('ZRANGE', list, 0, 0, 'WITHSCORES')}
end
return redis.call('UNLINK', list, state_key) > 0 and 1 or 0
