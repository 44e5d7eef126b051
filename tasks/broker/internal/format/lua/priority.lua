-- Gives tasks of a queue that wait another priority. One that waits for a worker goes to the list of that priority, before those
-- that are there.
--
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- ARGV[1] priority    'high', 'low', or '' for normal
-- ARGV[2] longest     longest list that is searched
-- ARGV[3] limit       list elements to pass by: then the rest of the tasks is for another call
--
-- then for each task, in KEYS: its key; in ARGV: its id.
--
-- Answers a word for each task, of the first ones only when the limit was passed: absent, done (also when it had the priority), long
-- (its list is), or its state.

local pending, high, low = KEYS[1], KEYS[2], KEYS[3]
local priority, longest, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local lists = {high = high, low = low}
local target = lists[priority] or pending
local waits = {pending = true, scheduled = true, retry = true}

local function set(task)
	if priority == '' then redis.call('HDEL', task, 'prio') else redis.call('HSET', task, 'prio', priority) end
end

local words, visits = {}, 0
for i = 1, #KEYS - 3 do
	local task, id = KEYS[i + 3], ARGV[i + 3]
	local held = redis.call('HMGET', task, 'state', 'prio', 'revoked')
	local state, has, revoked = held[1], held[2] or '', held[3]
	local word = state or 'absent'
	if state and waits[state] and not revoked then
		if has == priority then
			word = 'done'
		elseif state ~= 'pending' then
			set(task)
			word = 'done'
		else
			local from = lists[has] or pending
			local n = redis.call('LLEN', from)
			if n > longest then
				word = 'long'
			else
				visits = visits + n
				if redis.call('LREM', from, 1, id) == 1 then
					redis.call('RPUSH', target, id)
					set(task)
					word = 'done'
				end
			end
		end
	end
	words[i] = word
	if visits >= limit then break end
end
return words
