-- Ends reservations. If Redis would then admit one more, though the database had no stock, what it holds of the sale is wrong
-- and must be loaded again.
--
-- KEYS[1] sale
-- KEYS[2] admitted    by user
-- KEYS[3] pending     by task
-- KEYS[4] load
-- ARGV[1]      sold_out    '1' when the database had no stock
-- ARGV[2i]     user        of reservation i
-- ARGV[2i + 1] task        of reservation i
--
-- Answers how many there were.

local sale_key, admitted, pending, load = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local sold_out = ARGV[1] == '1'
local given = 0
for i = 2, #ARGV, 2 do
	local user, task = ARGV[i], ARGV[i + 1]
	redis.call('HDEL', pending, task)
	if redis.call('HGET', admitted, user) == task then given = given + redis.call('HDEL', admitted, user) end
end
local total = redis.call('HGET', sale_key, 'total')
if total and sold_out and redis.call('HLEN', admitted) < tonumber(total) then
	redis.call('DEL', sale_key, load)
elseif total and given > 0 then
	redis.call('HINCRBY', sale_key, 'left', given)
end
return given
