-- Takes tasks from the first of some queues that has any. It does what asynq's dequeue does, for many, but leaves
-- pending_since, and marks who has the tasks. An id is dropped whose task is gone, or not pending any more, or whose key is no
-- task's. If more wait, it wakes another worker.
--
-- ARGV[1] life        of the worker
-- ARGV[2] limit       how many tasks
-- ARGV[3] token       of their deliveries
-- ARGV[4] rings       '1' to wake another worker
-- ARGV[5] began       now, in ms
-- ARGV[6] normal_turn how many normal tasks have their turn before higher ones
-- ARGV[7] low_turn    how many low tasks have their turn before higher ones
-- ARGV[8] lease_time  in s
--
-- then for each queue, in KEYS:
--   pending
--   paused
--   active
--   leases
--   wake              the list that wakes workers
--   high
--   low
--   lives             of the queue
-- in ARGV: the prefix of its tasks' keys.
--
-- Answers nil without a task, 0 when the life is unknown or has ended, or the number of the queue and each task's id, message
-- and note (see Go's fetched.read).
--
--- @include lua/lib/ring.lua
--- @include lua/lib/publish.lua

local life, limit, token, rings, began = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1', ARGV[5]
local normal_turn, low_turn, lease_time = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local per_queue, options = 8, 8 -- KEYS of each queue, ARGV before those of the queues

local waiting = {}
for k = 1, #KEYS, per_queue do
	local pending, _, _, _, _, high, low = unpack(KEYS, k, k + 6)
	waiting[#waiting + 1] = pending
	waiting[#waiting + 1] = high
	waiting[#waiting + 1] = low
end
if redis.call('EXISTS', unpack(waiting)) == 0 then return nil end

local function take(ids, list, n)
	if n < 1 then return end
	for _, id in ipairs(redis.call('RPOP', list, n) or {}) do ids[#ids + 1] = id end
end

local function pop(pending, high, low)
	if redis.call('EXISTS', high, low) == 0 then return redis.call('RPOP', pending, limit) or {} end
	local ids = {}
	take(ids, high, limit - normal_turn - low_turn)
	take(ids, pending, limit - low_turn - #ids)
	take(ids, low, limit - #ids)
	take(ids, high, limit - #ids)
	take(ids, pending, limit - #ids)
	return ids
end

local ends = tonumber(redis.call('TIME')[1]) + lease_time
for q = 1, #KEYS / per_queue do
	local k = per_queue * (q - 1) + 1
	local pending, paused, active, leases, wake, high, low, lives = unpack(KEYS, k, k + per_queue - 1)
	local tasks = ARGV[options + q]
	if not redis.call('ZSCORE', lives, life) then return 0 end
	local ids = redis.call('EXISTS', paused) == 0 and pop(pending, high, low) or {}
	for _ = 1, 16 do
		if #ids == 0 then break end
		local answer, taken, ending, events = {q}, {}, {}, {}
		for i = 1, #ids do
			local id = ids[i]
			local task = tasks .. id
			local has = redis.pcall('HMGET', task, 'msg', 'state', 'watch', 'progress', 'crashes', 'revoked') -- nothing of a key of another kind
			local message, state, watched, progress, crashes, revoked = has[1], has[2], has[3], has[4], has[5], has[6]
			if message and state == 'pending' then
				redis.call('HSET', task, 'state', 'active', 'owner', token, 'began', began)
				if watched then events[#events + 1] = '+' .. id end
				if progress then redis.call('HDEL', task, 'progress') end
				taken[#taken + 1] = id
				ending[#ending + 1] = ends
				ending[#ending + 1] = id
				local note = ''
				if crashes or revoked then note = (crashes or '0') .. (revoked and ' ' .. revoked or '') end
				answer[#answer + 1] = id
				answer[#answer + 1] = message
				answer[#answer + 1] = note
			end
		end
		if #taken > 0 then
			redis.call('LPUSH', active, unpack(taken))
			redis.call('ZADD', leases, unpack(ending))
			if rings and #ids == limit and redis.call('EXISTS', pending, high, low) > 0 then ring(wake) end
			publish(events)
			return answer
		end
		ids = pop(pending, high, low) -- none of these is pending any more
	end
	if #ids > 0 then -- there may be many more such: another call goes on
		redis.call('RPUSH', pending, unpack(ids))
		if rings then ring(wake) end
		return nil
	end
end
return nil
