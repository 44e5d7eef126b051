-- Reads a page of a list, newest first.
--
-- KEYS[1] … KEYS[3] those of the list: see lua/lib/list.lua
-- ARGV[1] first     place, from 0
-- ARGV[2] last      place
--
-- Answers the state, the number of entries, and those of the page with their scores; nothing when the list is to be loaded.
--
--- @include lua/lib/list.lua

local first, last = ARGV[1], ARGV[2]

local state, n = get_state()
if not state then return false end
if n == 0 then return {state, n, {}} end
return {state, n, redis.call('ZREVRANGE', list, first, last, 'WITHSCORES')}
