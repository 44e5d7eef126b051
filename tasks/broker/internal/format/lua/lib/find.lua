-- find is what newStoredTask reads, or false without a task.
local function find(key, id, scheduled, retry)
	local fields = redis.call('HMGET', key, 'msg', 'state', 'result', 'owner', 'began', 'prio', 'tags', 'crashes', 'revoked',
		'attempts', 'progress')
	local state = fields[2]
	if not state then return false end
	if state == 'scheduled' then fields[12] = redis.call('ZSCORE', scheduled, id) end
	if state == 'retry' then fields[12] = redis.call('ZSCORE', retry, id) end
	return fields
end
