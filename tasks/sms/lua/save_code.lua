-- Keeps a new code in place of the number's last one, and restarts its tries.
--
-- KEYS[1] code_key   the code
-- KEYS[2] tries      hash: code, the code that was tried; asker, the address that asked for it; the counts of wrong tries:
--                    asker:<address> of the asker, from:<network> of another network, others of all but the asker
-- ARGV[1] code
-- ARGV[2] life       of the code, in ms
-- ARGV[3] asker      the address that asked for the code
--
-- Answers 1.

local code_key, tries = KEYS[1], KEYS[2]
local code, life, asker = ARGV[1], ARGV[2], ARGV[3]

redis.call('SET', code_key, code, 'PX', life)
redis.call('DEL', tries)
redis.call('HSET', tries, 'code', code, 'asker', asker)
redis.call('PEXPIRE', tries, life + 1000)
return 1
