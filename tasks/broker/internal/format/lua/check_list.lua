-- Reads a part of a list, from the end that is fetched first, or of a set.
--
-- KEYS[1] list      or set
-- ARGV[1] is_set    '1' for a set
-- ARGV[2] skip      number of its elements to skip
-- ARGV[3] size      number to look at
-- ARGV[4] tasks     prefix of the tasks' keys
--
-- Answers each id and its task's state, '' without a task, 'foreign' when another thing has its key; that of a revoked task
-- is 'revoked'.
--
--- @include lua/lib/revoked.lua

local list = KEYS[1]
local is_set, skip, size, tasks = ARGV[1] == '1', tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

local ids
if is_set then
	ids = redis.call('ZRANGE', list, skip, skip + size - 1)
else
	ids = redis.call('LRANGE', list, -skip - size, -skip - 1)
end
local answers = {}
for _, id in ipairs(ids) do
	local task = tasks .. id
	local kind = redis.call('TYPE', task)
	kind = kind.ok or kind
	local state = ''
	if kind == 'hash' then
		state = redis.call('HEXISTS', task, 'msg') == 1 and redis.call('HGET', task, 'state') or ''
		if state == 'completed' and is_revoked(redis.call('HGET', task, 'result')) then state = 'revoked' end
	elseif kind ~= 'none' then
		state = 'foreign'
	end
	answers[#answers + 1] = id
	answers[#answers + 1] = state
end
return answers
