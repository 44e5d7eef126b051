-- Takes a command back, whose sender waits no longer.
--
-- KEYS[1] commands   of the worker, by id
-- KEYS[2] answer     to this one
-- ARGV[1] id
--
-- Answers the answer, if there is one by now.

local commands, answer = KEYS[1], KEYS[2]
local id = ARGV[1]

redis.call('HDEL', commands, id)
return redis.call('GET', answer)
