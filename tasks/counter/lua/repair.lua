-- Makes counts what they are in the database, and marks the changes that are in them and whose tasks have not ended: they
-- count as counted. Users who were noted stay as they are.
--
-- KEYS[1] … KEYS[7] those of the kind: see lua/lib/kind.lua
-- KEYS[8] …         sets of marks
-- ARGV[1] token     of the window
-- ARGV[2] keep      how long marks are sure to be there, in ms
-- then of each user
-- ARGV    user
-- ARGV    count     in the database
-- ARGV    changes   how many changes follow; of each
-- ARGV      place   of its set of marks in KEYS
-- ARGV      mark
-- ARGV      delta
-- ARGV      made    when its task was made, in ms since 1970
-- ARGV      expiry  when its mark may expire, in ms since 1970
--
-- Answers nothing when the window is lost; else the users that were not noted, each with 1 when its count was wrong and 0
-- when it was right.
--
--- @include lua/lib/kind.lua

local token, keep = ARGV[1], ARGV[2]

forget_if_lost()
if not holds_window(token) then return false end

local at = 2 -- the last argument that was read
local function next_arg()
	at = at + 1
	return ARGV[at]
end

local first = oldest(keep)
local found = {}
while at < #ARGV do
	local user = next_arg()
	local count = tonumber(next_arg())
	local changes = tonumber(next_arg())
	local right = count -- what the count is when all changes that are marked are counted
	local is_noted = redis.call('SISMEMBER', noted, user) == 1
	for _ = 1, changes do
		local marks = KEYS[tonumber(next_arg())]
		local mark = next_arg()
		local delta = tonumber(next_arg())
		local made = tonumber(next_arg())
		local expiry = next_arg()
		if not is_noted and made >= first then
			if redis.call('SADD', marks, mark) == 1 then right = right - delta end
			redis.call('PEXPIREAT', marks, expiry)
		end
	end
	if not is_noted then
		local before = get_count(user)
		if before ~= count then set_count(user, count) end
		redis.call('SREM', suspects, user)
		found[#found + 1] = user
		found[#found + 1] = before == right and 0 or 1
	end
end
save_sizes()
return found
