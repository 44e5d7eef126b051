-- Deletes a code and its tries, unless another code has replaced it.
--
-- KEYS[1] code_key   the code
-- KEYS[2] tries      of the code
-- ARGV[1] code
--
-- Answers how many keys it deleted.

local code_key, tries = KEYS[1], KEYS[2]
local code = ARGV[1]

if redis.call('GET', code_key) ~= code then return 0 end
return redis.call('DEL', code_key, tries)
