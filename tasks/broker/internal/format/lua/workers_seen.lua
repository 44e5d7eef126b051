-- Lists the workers of some queues by their last beat.
--
-- KEYS    lives     of each queue, by their last beat (ms)
-- ARGV[1] limit     how long ago the last beat may be, in ms
--
-- Answers for each queue its lives and how long ago each has beaten (ms), in turn.
--
--- @include lua/lib/clock.lua

local limit = tonumber(ARGV[1])

local answers = {}
for q, lives in ipairs(KEYS) do
	local list = redis.call('ZRANGEBYSCORE', lives, now - limit, '+inf', 'WITHSCORES')
	for n = 2, #list, 2 do list[n] = string.format('%.0f', now - tonumber(list[n])) end
	answers[q] = list
end
return answers
