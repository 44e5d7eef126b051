-- count_rate counts tasks of a queue that came ('in') or ended ('out'), in a counter for every twenty seconds, which is kept for as
-- long as queue_stats.lua reads it. prefix is that of the queue's counters.
local function count_rate(prefix, direction, n)
	local counter = prefix .. direction .. ':' .. math.floor(redis.call('TIME')[1] / 20)
	if redis.call('INCRBY', counter, n) == n then redis.call('EXPIRE', counter, 90) end
end
