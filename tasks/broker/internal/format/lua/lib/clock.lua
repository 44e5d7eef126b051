-- now is the time of Redis, in ms: the clocks of hosts do not matter.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
