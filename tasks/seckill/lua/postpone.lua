-- Makes reservations due later.
--
-- KEYS[1] sale
-- KEYS[2] admitted    by user
-- KEYS[3] pending     by task
-- KEYS[4] load
-- ARGV[1]      due     ms since 1970
-- ARGV[2i]     task    of reservation i
-- ARGV[2i + 1] user    of reservation i
--
-- Answers 1.

local pending = KEYS[3]
local due = ARGV[1]
for i = 2, #ARGV, 2 do
	local task, user = ARGV[i], ARGV[i + 1]
	if redis.call('HEXISTS', pending, task) == 1 then redis.call('HSET', pending, task, user .. ':' .. due) end
end
return 1
