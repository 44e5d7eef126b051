-- Lists the commands that wait for a worker, and forgets those that no longer count.
--
-- KEYS[1] commands   by id
--
-- Answers ids and commands, in turn.
--
--- @include lua/lib/clock.lua

local commands = KEYS[1]

local waiting = {}
local all = redis.call('HGETALL', commands)
for n = 1, #all, 2 do
	local id, value = all[n], all[n + 1]
	local space = string.find(value, ' ', 1, true)
	if tonumber(string.sub(value, 1, space - 1)) < now then
		redis.call('HDEL', commands, id)
	else
		waiting[#waiting + 1] = id
		waiting[#waiting + 1] = string.sub(value, space + 1)
	end
end
return waiting
