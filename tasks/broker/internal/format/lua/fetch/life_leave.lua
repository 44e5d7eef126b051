-- Ends the life of a worker.
--
-- ARGV[1] life
-- ARGV[2] left        '1' if others are to look for its tasks
--
-- then for each queue, in KEYS:
--   lives
--   ended             lives that have ended
--
-- Answers 1.
--
--- @include lua/lib/clock.lua

local life, left = ARGV[1], ARGV[2] == '1'

for k = 1, #KEYS, 2 do
	local lives, ended = KEYS[k], KEYS[k + 1]
	if redis.call('ZREM', lives, life) == 1 and left then redis.call('ZADD', ended, now, life) end
end
return 1
