-- Is enqueue.lua for tasks with one gate. A gate that breaks does so for its own task alone.
--
-- KEYS[1] pending
-- KEYS[2] scheduled
-- KEYS[3] wake        the list that wakes workers
-- KEYS[4] queues      the list of queues
-- ARGV[1] now         in ns
-- ARGV[2] rings       '1' to wake a worker
-- ARGV[3] queue       to be listed if a task is made; '' leaves the list
-- ARGV[4] count       of the tasks
-- ARGV[5] gate_keys   how many KEYS the gate has
-- ARGV[6] gate_args   how many ARGV the gate has for each task
--
-- then in KEYS those of the gate. Then for each task, in KEYS: its key and, if it is unique, the key of that; in ARGV:
--   id
--   message
--   due               in s; '0' is now
--   unique_for        in s; '0' is not unique
--   extra             JSON, or '' for a plain task
-- and those of the gate.
--
-- Answers for each task the gate's word (1 open, 0 shut, 2 broken), the gate's reply, and what enqueue says.
--
--- @include lua/lib/enqueue.lua
--- @include lua/lib/ring.lua

local pending, scheduled, wake, queues = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, rings, queue, count = ARGV[1], ARGV[2] == '1', ARGV[3], tonumber(ARGV[4])
local gate_keys, gate_args = tonumber(ARGV[5]), tonumber(ARGV[6])

local of_gate = {}
for i = 1, gate_keys do of_gate[i] = KEYS[4 + i] end
local gate -- the file defines it
do
	local KEYS, ARGV = of_gate, {}
--- @include gate
end

local context = {queues = queues, scheduled = scheduled, now = now}
local answers, normals, ready, any, k, a = {}, {}, false, false, 5 + gate_keys, 7
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
	local sound, open, reply = pcall(gate, args)
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
		if outcome == 1 then any = true end
	end
end
if any and queue ~= '' then redis.call('SADD', queues, queue) end
if #normals > 0 then redis.call('LPUSH', pending, unpack(normals)) end
if ready and rings then ring(wake) end
return answers
