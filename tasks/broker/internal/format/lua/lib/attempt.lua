-- attempt adds a record to a task's attempts, which before is, unless they are to be read. The oldest go when they are too many.
local function attempt(task, record, before)
	if record == '' then return end
	before = before or redis.call('HGET', task, 'attempts')
	local all = before and before .. '\n' .. record or record
	if #all > 32768 then all = string.sub(all, (string.find(all, '\n', #all - 24576, true) or 0) + 1) end
	redis.call('HSET', task, 'attempts', all)
end
