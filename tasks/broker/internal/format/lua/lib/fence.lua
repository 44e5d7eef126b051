-- owned tells whether a delivery with the token still has the task; then it returns of its hash watch, revoked and prio. A task
-- that is no longer active has been acknowledged before.
local function owned(task, token)
	local held = redis.call('HMGET', task, 'owner', 'state', 'watch', 'revoked', 'prio')
	if held[1] ~= token or held[2] ~= 'active' then return false end
	return true, held[3], held[4], held[5]
end
