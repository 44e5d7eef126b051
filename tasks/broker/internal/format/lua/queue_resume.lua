-- Resumes a queue, and wakes a worker.
--
-- KEYS[1] paused      asynq's mark
-- KEYS[2] paused_by
-- KEYS[3] wake        the list that wakes workers
-- ARGV[1] rings       '1' to wake a worker
--
-- Answers 1, or 0 when it was not paused.
--
--- @include lua/lib/ring.lua

local paused, paused_by, wake = KEYS[1], KEYS[2], KEYS[3]
local rings = ARGV[1] == '1'

redis.call('DEL', paused_by)
if redis.call('DEL', paused) == 0 then return 0 end
if rings then ring(wake) end
return 1
