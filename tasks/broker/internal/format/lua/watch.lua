-- Is find.lua that has the changes of tasks which have not ended told. A Redis that is full refuses the mark; the checks do
-- without it.
--
-- KEYS[1] scheduled
-- KEYS[2] retry
--
-- then for each task, in KEYS: its key; in ARGV: its id.
--
-- Answers what find says of each.
--
--- @include lua/lib/find.lua
--- @include lua/lib/final.lua

local scheduled, retry = KEYS[1], KEYS[2]

local answers = {}
for i, id in ipairs(ARGV) do
	local key = KEYS[i + 2]
	local fields = find(key, id, scheduled, retry)
	if fields then
		local state, revoked = fields[2], fields[9]
		if not final(state, revoked) then redis.pcall('HSETNX', key, 'watch', '1') end
	end
	answers[i] = fields
end
return answers
