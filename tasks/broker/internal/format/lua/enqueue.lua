-- Stores tasks of one queue, and wakes a worker.
--
-- KEYS[1] pending
-- KEYS[2] scheduled
-- KEYS[3] wake        the list that wakes workers
-- KEYS[4] queues      the list of queues
-- ARGV[1] now         in ns
-- ARGV[2] rings       '1' to wake a worker
-- ARGV[3] queue       to be listed; '' leaves the list. asynq's client lists its queue once in its life only: after the loss
--                     of Redis' data its tasks would run but be found by nobody
-- ARGV[4] count       of the tasks
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
--- @include lua/lib/ring.lua

local pending, scheduled, wake, queues = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, rings, queue, count = ARGV[1], ARGV[2] == '1', ARGV[3], tonumber(ARGV[4])

if queue ~= '' then redis.call('SADD', queues, queue) end
local context = {queues = queues, scheduled = scheduled, now = now}
local answers, normals, ready, k, a = {}, {}, false, 5, 5
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
end
if #normals > 0 then redis.call('LPUSH', pending, unpack(normals)) end
if ready and rings then ring(wake) end
return answers
