-- What Redis holds of one user's followings, in keys that share a cluster slot. They are the first keys of every script that
-- includes this.
--
-- KEYS[1] list   zset: ids of users, by the time since when they are followed
-- KEYS[2] state  whole, more or empty: see the package
-- KEYS[3] lease  the token of whoever loads the list
local list, state_key, lease = KEYS[1], KEYS[2], KEYS[3]

-- get_state gives the state and the number of entries of a list that is there, and false for anything else.
local function get_state()
	local state, n = redis.pcall('GET', state_key), redis.pcall('ZCARD', list)
	if type(state) ~= 'string' or type(n) ~= 'number' then return false end
	if state == 'empty' and n == 0 or (state == 'whole' or state == 'more') and n > 0 then return state, n end
	return false
end
