-- despite_full makes the commands after it pass that a full Redis (maxmemory, noeviction) denies: it denies only the first
-- write of a script, and never one that takes away. The call does nothing else. Scripts may say the same of themselves
-- (flags=allow-oom), but only since Redis 7.
local function despite_full(zset) redis.call('ZREM', zset, '') end
