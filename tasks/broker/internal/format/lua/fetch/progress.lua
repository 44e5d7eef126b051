-- Stores how far a task is, if the delivery still has it.
--
-- KEYS[1] task
-- ARGV[1] token       of the delivery
-- ARGV[2] progress
-- ARGV[3] id
--
-- Answers 1, or 0 when another delivery has the task.
--
--- @include lua/lib/publish.lua
--- @include lua/lib/fence.lua

local task = KEYS[1]
local token, progress, id = ARGV[1], ARGV[2], ARGV[3]

local mine, watched = owned(task, token)
if not mine then return 0 end
redis.call('HSET', task, 'progress', progress)
if watched then publish({'+' .. id}) end
return 1
