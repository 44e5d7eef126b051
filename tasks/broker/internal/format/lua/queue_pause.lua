-- Pauses a queue by asynq's mark, and notes who did.
--
-- KEYS[1] paused      asynq's mark
-- KEYS[2] paused_by
-- ARGV[1] by
--
-- Answers 1, or 0 when it was paused, and the mark, and since when and by whom paused_by says so, or ''.
--
--- @include lua/lib/clock.lua

local paused, paused_by = KEYS[1], KEYS[2]
local by = ARGV[1]

local mark = redis.call('GET', paused)
if mark then
	local noted = redis.call('HMGET', paused_by, 'since', 'by')
	return {0, mark, noted[1] or '', noted[2] or ''}
end
local since = string.format('%d', math.floor(now / 1000))
redis.call('DEL', paused_by) -- a full Redis denies the first write only
redis.call('SET', paused, since)
redis.call('HSET', paused_by, 'since', since, 'by', by)
return {1, since, since, by}
