-- Reads places of the ranking. It writes nothing, so that a replica runs it.
--
-- KEYS[1] … KEYS[7] those of the kind: see lua/lib/kind.lua
-- ARGV[1] first     place, from 0
-- ARGV[2] last      place
--
-- Answers users and counts in turn, the highest first; nothing when the counts are not complete.
--
--- @include lua/lib/kind.lua

local first, last = ARGV[1], ARGV[2]

if redis.call('HEXISTS', built, 'at') == 0 or not is_complete() then return false end
return redis.call('ZREVRANGE', counts, first, last, 'WITHSCORES')
