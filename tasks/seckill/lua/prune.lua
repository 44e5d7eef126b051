-- Removes somebody admitted who has neither a reservation nor, as the caller found, an order.
--
-- KEYS[1] sale
-- KEYS[2] admitted    by user
-- KEYS[3] pending     by task
-- KEYS[4] load
-- ARGV[1] user
-- ARGV[2] task
--
-- Answers 1, or 0 when he stays.

local sale_key, admitted, pending = KEYS[1], KEYS[2], KEYS[3]
local user, task = ARGV[1], ARGV[2]
if redis.call('HEXISTS', pending, task) == 1 then return 0 end
if redis.call('HGET', admitted, user) ~= task then return 0 end
if redis.call('EXISTS', sale_key) == 1 then redis.call('HINCRBY', sale_key, 'left', 1) end
return redis.call('HDEL', admitted, user)
