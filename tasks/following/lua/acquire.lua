-- Takes the lease of a list that is not there, to load it.
--
-- KEYS[1] … KEYS[3] those of the list: see lua/lib/list.lua
-- ARGV[1] token
-- ARGV[2] life      of the lease, in ms
--
-- Answers 'mine', 'busy' when another token holds the lease, or 'loaded' when the list is there.
--
--- @include redisx/lease.lua
--- @include lua/lib/list.lua

local token, life = ARGV[1], ARGV[2]

if get_state() then return 'loaded' end
return acquire_lease(lease, token, life) and 'mine' or 'busy'
