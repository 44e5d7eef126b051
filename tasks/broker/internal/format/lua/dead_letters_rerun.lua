-- Lets tasks of a queue run again.
--
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] wake        the list that wakes workers
-- KEYS[5] scheduled
-- KEYS[6] retry
-- KEYS[7] archived
-- KEYS[8] completed
-- ARGV[1] own         prefix of our keys
-- ARGV[2] now         in ns
-- ARGV[3] rings       '1' to wake a worker
-- ARGV[4] command     name of this call: see newCommand
--
-- then for each task, in KEYS: its key; in ARGV:
--   id
--   digest            of the message that was judged
--   suffix            what the message gets when the task is fresh; '' when it was judged as one that has not ended
--   since             the score that it must have as a dead letter, or ''
--
-- Answers a word for each task: absent, fresh, sooner, changed, or its state.
--
--- @include lua/lib/ring.lua
--- @include lua/lib/publish.lua
--- @include lua/lib/revoked.lua

local pending, high, low, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local scheduled, retry, archived, completed = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local own, now, rings, command = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4]

local lists = {high = high, low = low}
local sets = {scheduled = scheduled, retry = retry, archived = archived, revoked = completed}

local function rerun(task, id, digest, suffix, since)
	local held = redis.call('HMGET', task, 'state', 'msg', 'prio', 'watch', 'tags', 'result', 'command', 'revoked')
	local state, message, priority, watched, tags, result, last, marked = unpack(held, 1, 8)
	if not state then return 'absent' end
	if state == 'completed' and is_revoked(result) then state = 'revoked' end
	if last and string.sub(last, 1, #command) == command then
		return string.sub(last, #command + 2) -- this call did it, and its answer was lost
	end
	local fresh = state == 'archived' or state == 'revoked' or marked and (state == 'pending' or sets[state])
	if not fresh and state ~= 'scheduled' and state ~= 'retry' then return state end
	local word = fresh and 'fresh' or 'sooner'
	if redis.sha1hex(message) ~= digest or (word == 'fresh') ~= (suffix ~= '')
		or since ~= '' and tonumber(redis.call('ZSCORE', archived, id)) ~= tonumber(since) then
		return 'changed'
	end
	redis.call('HSET', task, 'state', 'pending', 'pending_since', now, 'msg', message .. suffix, 'command', command .. ' ' .. word)
	if fresh then
		redis.call('HDEL', task, 'result', 'crashes', 'revoked', 'terminate', 'progress')
		for tag in string.gmatch(tags or '', '[^ ]+') do redis.call('SADD', own .. 'tag:' .. tag, id) end
	end
	if state ~= 'pending' then
		redis.call('ZREM', sets[state], id)
		redis.call('LPUSH', lists[priority] or pending, id)
	end
	if rings then ring(wake) end
	return word, watched
end

local words, events, a = {}, {}, 5
for k = 9, #KEYS do
	local id = ARGV[a]
	local word, watched = rerun(KEYS[k], id, ARGV[a + 1], ARGV[a + 2], ARGV[a + 3])
	a = a + 4
	words[#words + 1] = word
	if watched then events[#events + 1] = '+' .. id end
end
publish(events)
return words
