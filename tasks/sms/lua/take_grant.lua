-- Puts a grant into every window, or into none when one of them is full.
--
-- KEYS             windows: sets of grants, which expire
-- ARGV[1] grant
-- then of each window, in the order of KEYS
-- ARGV    limit    how many grants it takes
-- ARGV    length   of the window, in ms
--
-- Answers {0, 0}; or the place in KEYS of the full window that stays full longest, and for how many ms.

local windows, grant = KEYS, ARGV[1]

-- bounds gives the limit and the length of the i-th window, from 1.
local function bounds(i)
	local at = 2 * i
	return tonumber(ARGV[at]), tonumber(ARGV[at + 1])
end

local full, wait = 0, 0
for i, window in ipairs(windows) do
	local limit, length = bounds(i)
	if redis.call('SISMEMBER', window, grant) == 0 and redis.call('SCARD', window) >= limit then
		local left = redis.call('PTTL', window)
		if left < 0 then
			left = length
			redis.call('PEXPIRE', window, left)
		end
		if full == 0 or left > wait then
			full, wait = i, left
		end
	end
end
if full > 0 then return {full, wait} end

for i, window in ipairs(windows) do
	local _, length = bounds(i)
	redis.call('SADD', window, grant)
	if redis.call('PTTL', window) < 0 then redis.call('PEXPIRE', window, length) end
end
return {0, 0}
