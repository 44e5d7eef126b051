-- Deletes the value and the lease, after a commit: whoever read the database before is refused when it fills.
--
-- KEYS[1] value
-- KEYS[2] lease        the token of whoever may fill
-- KEYS[3] last         the last known value, of caches that serve stale ones
-- KEYS[4] marker       of a change that was applied; left out where there is none
-- ARGV[1] stale        how long the last known value lives on, in ms; '0' leaves it
-- ARGV[2] marker_life  in ms
-- ARGV[3] channel
-- ARGV[4] message
--
-- Answers 1; or 0, having done nothing, when the marker is there. A message that Redis refuses fails nothing: what other
-- processes keep lives until it expires.
--
--- @include lua/lib/shorten.lua

local value, lease, last, marker = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local stale, marker_life, channel, message = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

if marker and redis.call('EXISTS', marker) == 1 then return 0 end
redis.call('DEL', value, lease)
shorten(last, stale)
if marker then redis.call('SET', marker, '1', 'PX', marker_life) end
redis.pcall('PUBLISH', channel, message)
return 1
