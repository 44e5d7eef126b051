-- now_ms is the server's time in ms since 1970.
local function now_ms()
	local clock = redis.call('TIME')
	return clock[1] * 1000 + math.floor(clock[2] / 1000)
end
