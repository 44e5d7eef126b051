-- Deletes completed tasks whose retention has passed.
--
-- KEYS[1] completed   by the end of the retention (s)
-- ARGV[1] second      now
-- ARGV[2] tasks       prefix of the tasks' keys
-- ARGV[3] most        number to delete
--
-- Answers how many.

local completed = KEYS[1]
local second, tasks, most = ARGV[1], ARGV[2], ARGV[3]

local ids = redis.call('ZRANGEBYSCORE', completed, '-inf', second, 'LIMIT', 0, most)
for _, id in ipairs(ids) do
	redis.call('DEL', tasks .. id)
	redis.call('ZREM', completed, id)
end
return #ids
