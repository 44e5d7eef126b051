-- Removes members that are no users.
--
-- KEYS[1] … KEYS[7] those of the kind: see lua/lib/kind.lua
-- ARGV    members
--
-- Answers how many counts there were.
--
--- @include lua/lib/kind.lua

local members = ARGV

forget_if_lost()
local removed = 0
for _, member in ipairs(members) do
	removed = removed + redis.call('ZREM', counts, member)
	redis.call('HDEL', debts, member)
	redis.call('SREM', suspects, member)
end
save_sizes()
return removed
