-- Ends a load, which may have read what is no longer true, and takes the leases of entries that are to change.
--
-- KEYS[1] … KEYS[3] those of the list: see lua/lib/list.lua
-- KEYS[4] …         leases of entries
-- ARGV[1] token
-- ARGV[2] life      of the leases of entries, in ms
--
-- Answers 1, or 0 when there is no list to change. A lease of an entry belongs to the last who took it: each has read the
-- database after its own commit, so redisx's acquire_lease, which lets a holder be, would be wrong here.
--
--- @include lua/lib/list.lua

local first_entry = 4
local token, life = ARGV[1], ARGV[2]

redis.call('DEL', lease)
if not get_state() then
	redis.call('UNLINK', list, state_key)
	return 0
end
for i = first_entry, #KEYS do redis.call('SET', KEYS[i], token, 'PX', life) end
return 1
