-- Reads the last settled tick.
-- KEYS[1] the state of the entry
-- ARGV[1] seconds that a clock may be ahead of Redis's
-- Answers the tick, nil when the entry is unknown.
local entry = KEYS[1]
local tolerance = tonumber(ARGV[1])
--- @include lua/lib/clock.lua
takeBack(entry)
return redis.call('HGET', entry, 'settled')
