-- Holds tasks of a queue against the sets of their states.
--
-- KEYS[1] scheduled
-- KEYS[2] retry
-- KEYS[3] archived
-- KEYS[4] completed
-- KEYS[5] lives       of the queue
-- KEYS[6] leases
-- ARGV[1] prefix      length of the prefix of the tasks' keys
--
-- then in KEYS the keys of the tasks.
--
-- Answers of each task the id, the state, since when it has it (pending: ns, active: ms, else ''), and '0' if the set of its
-- state lacks it, or if no living worker has it and its lease, which plain asynq workers prolong, has ended; else '1'.
--
--- @include lua/lib/clock.lua
--- @include lua/lib/holder.lua

local sets = {scheduled = KEYS[1], retry = KEYS[2], archived = KEYS[3], completed = KEYS[4]}
local lives, leases = KEYS[5], KEYS[6]
local prefix = tonumber(ARGV[1])

local answers = {}
for k = 7, #KEYS do
	local task = KEYS[k]
	local id = string.sub(task, prefix + 1)
	local kind = redis.call('TYPE', task)
	local has = (kind.ok or kind) == 'hash' and redis.call('HEXISTS', task, 'msg') == 1
		and redis.call('HMGET', task, 'state', 'pending_since', 'owner', 'began') or {}
	local state, pending_since, owner, began = has[1], has[2], has[3], has[4]
	if state then
		local since, home = '', '1'
		if state == 'pending' then
			since = pending_since or ''
		elseif state == 'active' then
			since = began or ''
			local life = holder(owner, pending_since)
			if not life or not redis.call('ZSCORE', lives, life) then
				local ends = redis.call('ZSCORE', leases, id)
				if not ends or tonumber(ends) < now / 1000 then home = '0' end
			end
		elseif sets[state] and not redis.call('ZSCORE', sets[state], id) then
			home = '0'
		end
		answers[#answers + 1] = id
		answers[#answers + 1] = state
		answers[#answers + 1] = since
		answers[#answers + 1] = home
	end
end
return answers
