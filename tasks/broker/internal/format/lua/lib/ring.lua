-- ring wakes one worker. An element that nobody waits for is enough for whoever comes next. A wake-up that Redis refuses
-- fails nothing: idle workers look for themselves, a little later.
local function ring(wake)
	if redis.pcall('LLEN', wake) == 0 then
		redis.pcall('RPUSH', wake, 1)
		redis.pcall('PEXPIRE', wake, 2000)
	end
end
