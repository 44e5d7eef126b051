-- Takes the next tasks off a list or set of a queue. One that waits ends as revoked, as revoke.lua has it, and its record is kept
-- for a while; one that had ended is deleted, as forget.lua has it. Ids without a task of that state go, too.
--
-- KEYS[1] from        the list (what is fetched first comes first), or the set
-- KEYS[2] completed
-- ARGV[1] state       asynq's, of the tasks in it
-- ARGV[2] most        number of tasks
-- ARGV[3] bytes       of messages: no further task is taken beyond it
-- ARGV[4] tasks       prefix of the tasks' keys
-- ARGV[5] own         prefix of our keys
-- ARGV[6] result      of a revoked task
-- ARGV[7] suffix      what its message gets
-- ARGV[8] keep_until  when the record of a revoked task ends, in s
--
-- Answers how many ids it took off, then each task's id and message. Ids whose tasks are elsewhere are counted only.
--
--- @include lua/lib/publish.lua
--- @include lua/lib/release.lua
--- @include lua/lib/despite_full.lua

local from, completed = KEYS[1], KEYS[2]
local state, most, bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local tasks, own, result, suffix, keep_until = unpack(ARGV, 4, 8)

despite_full(completed)
local is_list, has_ended = state == 'pending', state == 'archived' or state == 'completed'
local ids = {}
if is_list then
	local last = redis.call('LRANGE', from, -most, -1)
	for i = #last, 1, -1 do ids[#ids + 1] = last[i] end
else
	ids = redis.call('ZRANGE', from, 0, most - 1)
end

local answers, gone, kept, events, taken, size = {0}, {}, {}, {}, 0, 0
for _, id in ipairs(ids) do
	if size >= bytes then break end
	taken = taken + 1
	local task = tasks .. id
	local held = redis.pcall('HMGET', task, 'state', 'msg', 'watch') -- nothing of a key of another kind
	local message, watched = held[2], held[3]
	if held[1] == state and message then
		size = size + #message
		answers[#answers + 1] = id
		answers[#answers + 1] = message
		release(task, id, own)
		if has_ended then
			gone[#gone + 1] = task
		else
			redis.call('HDEL', task, 'revoked', 'terminate')
			redis.call('HSET', task, 'state', 'completed', 'result', result, 'msg', message .. suffix)
			kept[#kept + 1] = keep_until
			kept[#kept + 1] = id
			if watched then events[#events + 1] = '.' .. id end
		end
	end
end
answers[1] = taken
if taken == 0 then return answers end
if is_list then
	redis.call('LTRIM', from, 0, -taken - 1)
else
	for i = 1, taken do redis.call('ZREM', from, ids[i]) end
end
if #gone > 0 then redis.call('DEL', unpack(gone)) end
if #kept > 0 then redis.call('ZADD', completed, unpack(kept)) end
publish(events)
return answers
