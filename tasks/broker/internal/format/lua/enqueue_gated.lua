-- Is enqueue.lua for tasks with one gate. A gate that breaks does so for its own task alone.
--
-- KEYS[1] pending
-- KEYS[2] scheduled
-- KEYS[3] wake        the list that wakes workers
-- KEYS[4] queues      the list of queues
-- KEYS[5] high
-- KEYS[6] low
-- ARGV[1] now         in ns
-- ARGV[2] rings       '1' to wake a worker
-- ARGV[3] queue       to be listed if a task is made; '' leaves the list
-- ARGV[4] count       of the tasks
-- ARGV[5] most        pending tasks with which the queue is full; '0' is no bound
-- ARGV[6] rates       prefix of the counters of tasks
-- ARGV[7] gate_keys   how many KEYS the gate has
-- ARGV[8] gate_args   how many ARGV the gate has for each task
--
-- then in KEYS those of the gate. Then for each task, in KEYS: its key and, if it is unique, the key of that; in ARGV:
--   id
--   message
--   due               in s; '0' is now
--   unique_for        in s; '0' is not unique
--   extra             JSON, or '' for a plain task
-- and those of the gate.
--
-- Answers for each task the gate's word (1 open, 0 shut, 2 broken), the gate's reply, and what enqueue says. The gate of a task
-- that a full queue refuses is not asked: its word is 1, and its reply nil.
--
--- @include lua/lib/enqueue.lua
--- @include lua/lib/room.lua
--- @include lua/lib/rate.lua
--- @include lua/lib/ring.lua

local pending, scheduled, wake, queues, high, low = unpack(KEYS, 1, 6)
local now, rings, queue, count, most, rates = ARGV[1], ARGV[2] == '1', ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local gate_keys, gate_args = tonumber(ARGV[7]), tonumber(ARGV[8])

local of_gate = {}
for i = 1, gate_keys do of_gate[i] = KEYS[6 + i] end
local gate -- the file defines it
do
	local KEYS, ARGV = of_gate, {}
--- @include gate
end

local context = {queues = queues, scheduled = scheduled, now = now, room = room(most, pending, high, low)}
local answers, normals, made, ready, k, a = {}, {}, 0, false, 7 + gate_keys, 9
for i = 1, count do
	local key, unique = KEYS[k], nil
	local id, message, due, unique_for, extra = unpack(ARGV, a, a + 4)
	k = k + 1
	if unique_for ~= '0' then
		unique = KEYS[k]
		k = k + 1
	end
	local args = {}
	for n = 1, gate_args do args[n] = ARGV[a + 4 + n] end
	a = a + 5 + gate_args
	local full = context.room and context.room < 1 and redis.call('EXISTS', key) == 0
	local sound, open, reply = true, true, false
	if not full then sound, open, reply = pcall(gate, args) end
	if reply == nil then reply = false end
	if not sound then
		answers[i] = {2, type(open) == 'table' and open.err or tostring(open), 0}
	elseif not open then
		answers[i] = {0, reply, 0}
	else
		local outcome, runs, normal = enqueue(context, key, unique, id, message, due, unique_for, extra)
		answers[i] = {1, reply, outcome}
		if normal then normals[#normals + 1] = id end
		if runs then ready = true end
		if outcome == 1 then made = made + 1 end
	end
end
if made > 0 and queue ~= '' then redis.call('SADD', queues, queue) end
if #normals > 0 then redis.call('LPUSH', pending, unpack(normals)) end
if made > 0 then count_rate(rates, 'in', made) end
if ready and rings then ring(wake) end
return answers
