-- enqueue stores a task with its key if neither its id nor its uniqueness nor its throttle is taken. It answers what became
-- of it: 1 (made), 0 (the id is taken), -1 (another queue has the id), -2 (the queue is full), the id that holds the
-- uniqueness or the throttle, or '=' and the id of the task that has the message now; then whether the task is ready for a
-- worker, and whether its id is to be pushed on the list of normal priority.
--
-- context has queues (key of the list of queues), scheduled (key), now (ns) and room (see room.lua). due is in s, '0' is now;
-- unique is a key, or nil; unique_for is in s; options is the JSON of Go's type extra, or '' for a plain task.

-- taken tells whether any of the queues has the id.
local function taken(queues, id)
	for _, queue in ipairs(redis.call('SMEMBERS', queues)) do
		if redis.call('EXISTS', 'asynq:{' .. queue .. '}:t:' .. id) == 1 then return true end
	end
	return false
end

-- mark gives a task its priority and its tags, in place of those of a task that it replaces.
local function mark(key, id, extra)
	if extra.prio then redis.call('HSET', key, 'prio', extra.prio) else redis.call('HDEL', key, 'prio') end
	local before = redis.call('HGET', key, 'tags')
	if before then
		for tag in string.gmatch(before, '[^ ]+') do redis.call('SREM', extra.prefix .. 'tag:' .. tag, id) end
		redis.call('HDEL', key, 'tags')
	end
	if extra.tags then
		redis.call('HSET', key, 'tags', extra.tags)
		for _, tag in ipairs(extra.tag_keys) do redis.call('SADD', tag, id) end
	end
end

-- replace is the id that holds a throttle, or gives the message to the task that waits for the end of its window. Field 3 of
-- a message is its id, of at most 128 bytes; of two the last counts.
local function replace(extra, message)
	local id = redis.call('GET', extra.lock)
	if not id or not extra.window then return id end
	local key = extra.tasks .. id
	if redis.call('HGET', key, 'state') ~= 'scheduled' then return nil end
	local size = #id < 128 and string.char(#id) or string.char(#id, 1)
	redis.call('HSET', key, 'msg', message .. string.char(26) .. size .. id)
	mark(key, id, extra)
	return '=' .. id
end

local function enqueue(context, key, unique, id, message, due, unique_for, options)
	local extra = options ~= '' and cjson.decode(options)
	if extra and extra.lock then
		local owner = replace(extra, message)
		if owner then return owner end
	end
	if unique then
		local owner = redis.call('GET', unique)
		if owner then return owner end
	end
	if redis.call('EXISTS', key) == 1 then return 0 end
	if extra and extra.alone and taken(context.queues, id) then return -1 end
	if context.room and context.room < 1 then return -2 end
	local now = due == '0'
	if now then
		if context.room then context.room = context.room - 1 end
		redis.call('HSET', key, 'msg', message, 'state', 'pending', 'pending_since', context.now)
	else
		redis.call('HSET', key, 'msg', message, 'state', 'scheduled')
		redis.call('ZADD', context.scheduled, due, id)
	end
	if unique then
		redis.call('SET', unique, id, 'EX', unique_for)
		redis.call('HSET', key, 'unique_key', unique)
	end
	if extra then
		mark(key, id, extra)
		if extra.lock and extra.lock_ms > 0 then redis.call('SET', extra.lock, id, 'PX', extra.lock_ms) end
		if extra.list and now then
			redis.call('LPUSH', extra.list, id)
			return 1, true, false
		end
	end
	return 1, now, now
end
