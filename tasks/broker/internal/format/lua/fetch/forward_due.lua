-- Looks which delayed sets hold tasks that are due.
--
-- KEYS are the delayed sets.
-- ARGV[1] now         in s
--
-- Answers those with something due.

local now = tonumber(ARGV[1])

local due = {}
if redis.call('EXISTS', unpack(KEYS)) == 0 then return due end
for _, delayed in ipairs(KEYS) do
	local score = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
	if score and tonumber(score) <= now then due[#due + 1] = delayed end
end
return due
