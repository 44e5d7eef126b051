-- Looks tasks of a queue up.
--
-- KEYS[1] scheduled
-- KEYS[2] retry
--
-- then for each task, in KEYS: its key; in ARGV: its id.
--
-- Answers what find says of each.
--
--- @include lua/lib/find.lua

local scheduled, retry = KEYS[1], KEYS[2]

local answers = {}
for i, id in ipairs(ARGV) do
	local key = KEYS[i + 2]
	answers[i] = find(key, id, scheduled, retry)
end
return answers
