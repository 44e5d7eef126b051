--- @include lua/lib/attempt.lua

-- end_attempt takes a task off the active ones, and writes what its attempt leaves. It is false when the task is not there,
-- which asynq answers with NOT FOUND. A lease that is missing is no reason to leave the task in between.
local function end_attempt(active, leases, task, id, result, record)
	if redis.call('LREM', active, 0, id) == 0 then return false end
	redis.call('ZREM', leases, id)
	if result ~= '' then redis.call('HSET', task, 'result', result) end
	attempt(task, record)
	return true
end
