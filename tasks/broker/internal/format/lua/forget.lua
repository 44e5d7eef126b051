-- Deletes a task that has ended, and frees what it holds.
--
-- KEYS[1] task
-- KEYS[2] completed
-- KEYS[3] archived
-- ARGV[1] id
-- ARGV[2] own         prefix of our keys
--
-- Answers the state in which it found the task, '' without one. A task that is neither completed nor archived stays.
--
--- @include lua/lib/release.lua

local task, completed, archived = KEYS[1], KEYS[2], KEYS[3]
local id, own = ARGV[1], ARGV[2]

local state = redis.call('HGET', task, 'state')
if state == 'completed' or state == 'archived' then
	redis.call('ZREM', state == 'completed' and completed or archived, id)
	release(task, id, own)
	redis.call('DEL', task)
end
return state or ''
