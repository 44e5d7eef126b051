-- Records committed orders: the task of each replaces any other that the user has. The user of a sale that Redis does not
-- know, and that nobody is loading, is left out: whoever loads it finds the order.
--
-- KEYS[1] sale
-- KEYS[2] admitted    by user
-- KEYS[3] pending     by task
-- KEYS[4] load
-- ARGV[2i-1] user    of order i
-- ARGV[2i]   task    of order i
--
-- Answers 1.

local sale_key, admitted, pending, load = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local known = redis.call('EXISTS', sale_key, admitted, load) > 0
for i = 1, #ARGV, 2 do
	local user, task = ARGV[i], ARGV[i + 1]
	local before = redis.call('HGET', admitted, user)
	if before and before ~= task then redis.call('HDEL', pending, before) end
	redis.call('HDEL', pending, task)
	if known and before ~= task then redis.call('HSET', admitted, user, task) end
end
return 1
