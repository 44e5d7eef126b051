-- Counts the changes of one task, all or none.
--
-- KEYS[1] … KEYS[7] those of the kind: see lua/lib/kind.lua
-- KEYS[8] marks     set that takes the marks of the task's changes
-- ARGV[1] made      when the task was made, in ms since 1970
-- ARGV[2] keep      how long marks are sure to be there, in ms
-- ARGV[3] expiry    when the task's marks may expire, in ms since 1970
-- then of each change
-- ARGV    user
-- ARGV    delta
-- ARGV    mark
--
-- Answers 'wait', having done nothing, when a user is frozen; 'late' when the task is too old to be counted, and its users
-- are suspects now; else 'done'.
--
--- @include lua/lib/kind.lua

local marks = KEYS[8]
local made, keep, expiry = tonumber(ARGV[1]), ARGV[2], ARGV[3]

local function each_change(f)
	for i = 4, #ARGV, 3 do
		local user, delta, mark = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
		f(user, delta, mark)
	end
end

forget_if_lost()
local opened = redis.call('HMGET', window, 'lo', 'hi', 'frozen')
local lo, hi, has_frozen = opened[1], opened[2], opened[3]
if has_frozen then
	local wait = false
	each_change(function(user)
		wait = wait or redis.call('SISMEMBER', frozen, user) == 1
	end)
	if wait then return 'wait' end
end

-- Large ids are rounded here, lo and hi too: a user in the range is never taken for one outside.
lo, hi = tonumber(lo or 1), tonumber(hi or 0)
local function note(user)
	local id = tonumber(user)
	if id >= lo and id <= hi and redis.call('SADD', noted, user) == 1 then
		redis.call('HINCRBY', window, 'noted', 1)
		local left = redis.call('PTTL', window)
		if left > 0 then redis.call('PEXPIRE', noted, left + 60000) end
	end
end

local late = made < oldest(keep)
each_change(function(user, delta, mark)
	if late then
		note(user)
		redis.call('SADD', suspects, user)
	elseif redis.call('SADD', marks, mark) == 1 then
		note(user)
		set_count(user, get_count(user) + delta)
	end
end)
if not late then redis.call('PEXPIREAT', marks, expiry) end
save_sizes()
return late and 'late' or 'done'
