-- shorten lets a key live for ms milliseconds from now on, if it would live longer; '0' changes nothing.
local function shorten(key, ms)
	if ms ~= '0' and redis.call('PTTL', key) > tonumber(ms) then redis.call('PEXPIRE', key, ms) end
end
