-- Opens a window: the users of a range are noted when their counts change; users that are listed are frozen.
--
-- KEYS[1] … KEYS[7] those of the kind: see lua/lib/kind.lua
-- ARGV[1] token
-- ARGV[2] life      of the window, in ms
-- ARGV[3] run       token of the reconciliation of all users, or ''
-- ARGV[4] lo        the first user of the range
-- ARGV[5] hi        the last user of the range
-- ARGV[6] …         users to freeze, instead of the range
--
-- Answers 'open'; 'busy' while another token has a window; 'lost' when something was lost since the run began.
--
--- @include lua/lib/kind.lua

local token, life, run, lo, hi = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local first_user = 6

forget_if_lost()
if run ~= '' and redis.call('HEXISTS', built, 'run:' .. run) == 0 then return 'lost' end
local holder = redis.call('HGET', window, 'token')
if holder == token then return 'open' end -- sent twice: who is noted stays noted
if holder then return 'busy' end
redis.call('DEL', window, noted, frozen)
if #ARGV >= first_user then
	for i = first_user, #ARGV do redis.call('SADD', frozen, ARGV[i]) end
	redis.call('PEXPIRE', frozen, life)
	redis.call('HSET', window, 'token', token, 'frozen', redis.call('SCARD', frozen))
else
	redis.call('HSET', window, 'token', token, 'lo', lo, 'hi', hi, 'noted', 0)
end
redis.call('PEXPIRE', window, life)
return 'open'
