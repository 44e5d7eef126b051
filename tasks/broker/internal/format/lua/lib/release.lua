-- release frees the uniqueness and the tags of a task that ends. own is the prefix of our keys.
local function release(task, id, own)
	local has = redis.call('HMGET', task, 'unique_key', 'tags')
	local unique, tags = has[1], has[2]
	if unique and redis.call('GET', unique) == id then redis.call('DEL', unique) end
	for tag in string.gmatch(tags or '', '[^ ]+') do redis.call('SREM', own .. 'tag:' .. tag, id) end
end
