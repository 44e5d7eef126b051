-- Stores a worker's answer to a command, and tells who waits for it. A script must not fail for the telling, since Redis keeps
-- what the script has written before: the sender asks, too.
--
-- KEYS[1] commands   of the worker, by id
-- KEYS[2] answer     to this one
-- ARGV[1] id
-- ARGV[2] answer     as JSON
-- ARGV[3] keep       how long the answer is kept, in s
-- ARGV[4] channel
--
-- Answers 1.

local commands, answer = KEYS[1], KEYS[2]
local id, text, keep, channel = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

redis.call('HDEL', commands, id)
redis.call('SET', answer, text, 'EX', keep)
redis.pcall('PUBLISH', channel, id)
return 1
