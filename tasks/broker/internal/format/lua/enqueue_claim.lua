-- Claims an id, or takes over a claim of the same queue.
--
-- KEYS[1] claim     the queue, a space and the token of who has it
-- ARGV[1] queue
-- ARGV[2] token
-- ARGV[3] life      in ms
--
-- Answers 1, or 0 when another queue has it.

local claim = KEYS[1]
local queue, token, life = ARGV[1], ARGV[2], ARGV[3]

local owner = redis.call('GET', claim)
if owner and string.match(owner, '^(.-) ') ~= queue then return 0 end
redis.call('SET', claim, queue .. ' ' .. token, 'PX', life)
return 1
