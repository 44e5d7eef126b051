-- Notes a login from an address.
--
-- KEYS[1] known     addresses of the number, by the time of their last login
-- ARGV[1] address
-- ARGV[2] now       s since 1970
-- ARGV[3] most      how many addresses are kept, the latest
-- ARGV[4] life      of the set, in s
--
-- Answers 1.

local known = KEYS[1]
local address, now, most, life = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

redis.call('ZADD', known, now, address)
redis.call('ZREMRANGEBYRANK', known, 0, -1 - most)
redis.call('EXPIRE', known, life)
return 1
