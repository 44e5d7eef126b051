-- room is how many more tasks the queue takes, nil where it has no bound.
local function room(most, pending, high, low)
	if most == '0' then return nil end
	return tonumber(most) - redis.call('LLEN', pending) - redis.call('LLEN', high) - redis.call('LLEN', low)
end
