-- Lists the active tasks of a worker.
--
-- KEYS[1] active
-- ARGV[1] tasks       prefix of the tasks' keys
-- ARGV[2] prefix      of the worker's tokens
--
-- Answers the id and the token of each, the oldest last.

local active = KEYS[1]
local tasks, prefix = ARGV[1], ARGV[2]

local answers = {}
for _, id in ipairs(redis.call('LRANGE', active, 0, -1)) do
	local owner = redis.call('HGET', tasks .. id, 'owner')
	if owner and string.sub(owner, 1, #prefix) == prefix then
		answers[#answers + 1] = id
		answers[#answers + 1] = owner
	end
end
return answers
