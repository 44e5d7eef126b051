-- Has each task of a queue be once in the lists of its state and in no other. One that was in none goes to the head of its
-- queue. A revoked one may stay in a list of those that wait.
--
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] active
-- KEYS[5] leases
-- KEYS[6] scheduled
-- KEYS[7] retry
-- KEYS[8] archived
-- KEYS[9] completed
-- KEYS[10] wake       the list that wakes workers
-- ARGV[1] since       now, in ns
-- ARGV[2] rings       '1' to wake a worker
-- ARGV[3] lease_time  in s
--
-- then for each task, in KEYS: its key; in ARGV:
--   id
--   score             where it belongs in the set of its state, in s
--
-- Answers how long the lists are together, then ids and faults.
--
--- @include lua/lib/clock.lua
--- @include lua/lib/ring.lua
--- @include lua/lib/publish.lua
--- @include lua/lib/despite_full.lua
--- @include lua/lib/revoked.lua
--- @include lua/lib/times.lua

local pending, high, low, active, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local sets = {scheduled = KEYS[6], retry = KEYS[7], archived = KEYS[8], completed = KEYS[9]}
local wake = KEYS[10]
local since, rings, lease_time = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])

local waiting_lists = {pending, high, low}
despite_full(leases)

local listed = redis.call('LLEN', active)
for _, list in ipairs(waiting_lists) do listed = listed + redis.call('LLEN', list) end
local answers, events, ready = {listed}, {}, false

local function take_from_waiting(id)
	for _, list in ipairs(waiting_lists) do redis.call('LREM', list, 0, id) end
end

-- mend mends one task. note is told each fault.
local function mend(task, id, score, state, priority, note)
	local other = state == 'gone' and 'stray' or 'wrong'
	local runs, waiting = times(active, id), 0
	for _, list in ipairs(waiting_lists) do waiting = waiting + times(list, id) end
	if state ~= 'pending' and waiting > 0 and not (state == 'completed' and is_revoked(redis.call('HGET', task, 'result'))) then
		take_from_waiting(id)
		note(other)
	end
	if state ~= 'active' and runs > 0 then
		redis.call('LREM', active, 0, id)
		redis.call('ZREM', leases, id)
		note(other)
	end
	for name, set in pairs(sets) do
		if name ~= state and redis.call('ZREM', set, id) == 1 then note(other) end
	end
	if state == 'pending' and waiting ~= 1 then
		if waiting > 0 then take_from_waiting(id) end
		redis.call('RPUSH', priority == 'high' and high or priority == 'low' and low or pending, id)
		redis.call('HSETNX', task, 'pending_since', since)
		ready = true
		note(waiting == 0 and 'lost' or 'twice')
	elseif state == 'active' and runs ~= 1 then
		if runs > 0 then redis.call('LREM', active, 0, id) end
		redis.call('LPUSH', active, id)
		-- A worker that has it prolongs the lease; else its task is taken over.
		redis.call('ZADD', leases, 'NX', math.floor(now / 1000) + lease_time, id)
		note(runs == 0 and 'lost' or 'twice')
	elseif sets[state] and not redis.call('ZSCORE', sets[state], id) then
		redis.call('ZADD', sets[state], score, id)
		note('lost')
	end
end

local a = 4
for k = 11, #KEYS do
	local task, id, score = KEYS[k], ARGV[a], ARGV[a + 1]
	a = a + 2
	local kind = redis.call('TYPE', task)
	kind = kind.ok or kind
	local has = kind == 'hash' and redis.call('HMGET', task, 'state', 'prio', 'watch') or {}
	local priority, watched = has[2], has[3]
	local state = has[1] and redis.call('HEXISTS', task, 'msg') == 1 and has[1] or 'gone'
	local foreign = kind ~= 'hash' and kind ~= 'none' or state == 'gone' and kind == 'hash' and has[1]
	if not foreign and (state == 'gone' or state == 'pending' or state == 'active' or sets[state]) then -- else nobody can tell
		local before = #answers
		mend(task, id, score, state, priority, function(fault)
			answers[#answers + 1] = id
			answers[#answers + 1] = fault
		end)
		if watched and #answers > before then events[#events + 1] = '+' .. id end
	end
end
if ready and rings then ring(wake) end
publish(events)
return answers
