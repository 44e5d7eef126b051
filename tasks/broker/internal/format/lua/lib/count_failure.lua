-- count_failure counts a failed attempt as asynq does: for the day, until expires (s), and in all. Counters that have come to
-- the largest number begin again.
local function count_failure(processed_day, failed_day, processed, failed, expires, largest)
	if redis.call('INCR', processed_day) == 1 then redis.call('EXPIREAT', processed_day, expires) end
	if redis.call('INCR', failed_day) == 1 then redis.call('EXPIREAT', failed_day, expires) end
	if tonumber(redis.call('GET', processed) or 0) == tonumber(largest) then
		redis.call('SET', processed, 1)
		redis.call('SET', failed, 1)
	else
		redis.call('INCR', processed)
		redis.call('INCR', failed)
	end
end
