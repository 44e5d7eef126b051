-- Makes the token's owner the only loader of the sale. Unlike redisx's acquire_lease it takes the lease from nobody, however
-- long that lasts: a program of another version may have a longer one, and what it has loaded would be lost.
--
-- KEYS[1] sale
-- KEYS[2] admitted    by user
-- KEYS[3] pending     by task
-- KEYS[4] load
-- ARGV[1] token
-- ARGV[2] life       of the token, in ms
-- ARGV[3] if_none    '1' to let a loaded sale be
--
-- Answers loaded, mine or busy.

local sale_key, load = KEYS[1], KEYS[4]
local token, life, if_none = ARGV[1], ARGV[2], ARGV[3] == '1'
if if_none and redis.call('EXISTS', sale_key) == 1 then return 'loaded' end
if redis.call('SET', load, token, 'NX', 'PX', life) then return 'mine' end
return 'busy'
