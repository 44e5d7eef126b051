-- Gives a claim up.
--
-- KEYS[1] claim
-- ARGV[1] queue
-- ARGV[2] token
--
-- Answers 1.

local claim = KEYS[1]
local queue, token = ARGV[1], ARGV[2]

if redis.call('GET', claim) == queue .. ' ' .. token then redis.call('DEL', claim) end
return 1
