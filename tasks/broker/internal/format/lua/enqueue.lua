-- Stores tasks of one queue, and wakes a worker.
--
-- KEYS[1] pending
-- KEYS[2] scheduled
-- KEYS[3] wake        the list that wakes workers
-- KEYS[4] queues      the list of queues
-- KEYS[5] high
-- KEYS[6] low
-- ARGV[1] now         in ns
-- ARGV[2] rings       '1' to wake a worker
-- ARGV[3] queue       to be listed; '' leaves the list. asynq's client lists its queue once in its life only: after the loss
--                     of Redis' data its tasks would run but be found by nobody
-- ARGV[4] count       of the tasks
-- ARGV[5] most        pending tasks with which the queue is full; '0' is no bound
-- ARGV[6] rates       prefix of the counters of tasks
--
-- then for each task, in KEYS: its key and, if it is unique, the key of that; in ARGV:
--   id
--   message
--   due               in s; '0' is now
--   unique_for        in s; '0' is not unique
--   extra             JSON, or '' for a plain task
--
-- Answers for each task what enqueue says.
--
--- @include lua/lib/enqueue.lua
--- @include lua/lib/room.lua
--- @include lua/lib/rate.lua
--- @include lua/lib/ring.lua

local pending, scheduled, wake, queues, high, low = unpack(KEYS, 1, 6)
local now, rings, queue, count, most, rates = ARGV[1], ARGV[2] == '1', ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]

if queue ~= '' then redis.call('SADD', queues, queue) end
local context = {queues = queues, scheduled = scheduled, now = now, room = room(most, pending, high, low)}
local answers, normals, made, ready, k, a = {}, {}, 0, false, 7, 7
for i = 1, count do
	local key, unique = KEYS[k], nil
	local id, message, due, unique_for, extra = unpack(ARGV, a, a + 4)
	k, a = k + 1, a + 5
	if unique_for ~= '0' then
		unique = KEYS[k]
		k = k + 1
	end
	local outcome, runs, normal = enqueue(context, key, unique, id, message, due, unique_for, extra)
	answers[i] = outcome
	if normal then normals[#normals + 1] = id end
	if runs then ready = true end
	if outcome == 1 then made = made + 1 end
end
if #normals > 0 then redis.call('LPUSH', pending, unpack(normals)) end
if made > 0 then count_rate(rates, 'in', made) end
if ready and rings then ring(wake) end
return answers
