-- Reads a count. It writes nothing, so that a replica runs it.
--
-- KEYS[1] … KEYS[7] those of the kind: see lua/lib/kind.lua
-- ARGV[1] user
--
-- Answers the count; 'unbuilt' when the counts are not complete; 'suspect' when this one may be wrong.
--
--- @include lua/lib/kind.lua

local user = ARGV[1]

if redis.call('HEXISTS', built, 'at') == 0 or not is_complete() then return 'unbuilt' end
if redis.call('SISMEMBER', suspects, user) == 1 then return 'suspect' end
return redis.call('ZSCORE', counts, user) or '0'
