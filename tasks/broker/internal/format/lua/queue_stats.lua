-- Says how queues stand, at the same cost whatever their length.
--
-- ARGV[1] silence     how long ago the last beat of a living worker may be, in ms
--
-- then for each queue, in KEYS:
--   pending
--   high
--   low
--   active
--   scheduled
--   retry
--   archived
--   completed
--   paused            asynq's mark
--   paused_by
--   lives             of the queue
--   rates             prefix of the counters of tasks
-- in ARGV: the prefix of its tasks' keys.
--
-- Answers for each queue: the lengths of the first eight, asynq's mark or '', since when and by whom paused_by says that it is
-- paused or '', how many workers live, for how long the oldest task waits that is due (ms; -1 without), how many tasks came and
-- how many ended in the last minute, and about how many bytes the queue has (-1 where the server does not tell).
--
--- @include lua/lib/clock.lua

local silence = tonumber(ARGV[1])
local per_queue, options = 12, 1 -- KEYS of each queue, ARGV before those of the queues
local ends = 4                   -- elements of a list that are looked at for the one that waits longest
local tells = true               -- the server tells what memory keys have

-- bytes is what a key has, 0 where the server does not tell.
local function bytes(key)
	if not tells then return 0 end
	local n = redis.pcall('MEMORY', 'USAGE', key)
	if type(n) == 'table' and n.err then
		tells = false
		return 0
	end
	return tonumber(n or 0) or 0
end

-- weight is about what a list or set has together with its tasks: of these, two are taken for all.
local function weight(key, length, first, last, tasks)
	if length == 0 or not tells then return 0 end
	local each = first and bytes(tasks .. first) or 0
	if last and last ~= first then each = (each + bytes(tasks .. last)) / 2 end
	return bytes(key) + each * length
end

-- counted is what the counters count for the last minute: three, and of the one before what lies within it.
local second = math.floor(now / 1000)
local current, share = math.floor(second / 20), (20 - second % 20) / 20
local function counted(rates)
	local ins, outs = rates .. 'in:', rates .. 'out:'
	local c = redis.call('MGET', ins .. current, ins .. current - 1, ins .. current - 2, ins .. current - 3,
		outs .. current, outs .. current - 1, outs .. current - 2, outs .. current - 3)
	for i = 1, 8 do c[i] = tonumber(c[i] or 0) end
	return math.floor(c[1] + c[2] + c[3] + c[4] * share + 0.5), math.floor(c[5] + c[6] + c[7] + c[8] * share + 0.5)
end

local answers = {}
for q = 1, #KEYS / per_queue do
	local k = per_queue * (q - 1) + 1
	local tasks, rates = ARGV[options + q], KEYS[k + 11]
	local answer, oldest, memory = {}, nil, 0
	local function waits(since)
		if since and (not oldest or since < oldest) then oldest = since end
	end
	for i = 0, 3 do -- the lists
		local list = KEYS[k + i]
		local length = redis.call('LLEN', list)
		answer[#answer + 1] = length
		local next = length > 0 and redis.call('LRANGE', list, -ends, -1) or {}
		if i < 3 then
			for _, id in ipairs(next) do
				local held = redis.call('HMGET', tasks .. id, 'state', 'pending_since')
				local since = held[1] == 'pending' and tonumber(held[2] or '')
				if since then waits(math.floor(since / 1e6)) end
			end
		end
		memory = memory + weight(list, length, next[1], next[#next], tasks)
	end
	for i = 4, 7 do -- the sets
		local set = KEYS[k + i]
		local length = redis.call('ZCARD', set)
		answer[#answer + 1] = length
		local first = length > 0 and redis.call('ZRANGE', set, 0, 0, 'WITHSCORES') or {}
		local due = i < 6 and tonumber(first[2] or '')
		if due and due * 1000 <= now then waits(due * 1000) end
		memory = memory + weight(set, length, first[1], length > 1 and redis.call('ZRANGE', set, -1, -1)[1], tasks)
	end
	local paused = redis.call('GET', KEYS[k + 8]) or ''
	local by = paused ~= '' and redis.call('HMGET', KEYS[k + 9], 'since', 'by') or {}
	answer[#answer + 1] = paused
	answer[#answer + 1] = by[1] or ''
	answer[#answer + 1] = by[2] or ''
	answer[#answer + 1] = redis.call('ZCOUNT', KEYS[k + 10], now - silence, '+inf')
	answer[#answer + 1] = oldest and math.max(now - oldest, 0) or -1
	answer[#answer + 1], answer[#answer + 2] = counted(rates)
	answer[#answer + 1] = tells and math.floor(memory) or -1
	answers[q] = answer
end
return answers
