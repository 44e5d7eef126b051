-- Compares a code with the number's, unless the network has used up its wrong tries, or all but the asker have used up theirs.
-- The right code is deleted, so that one of concurrent attempts wins. A wrong one is counted. The code is deleted when nobody
-- may try it any more; its tries outlive it, and tell a void code from none.
--
-- KEYS[1] code_key      the code
-- KEYS[2] tries         of the code: see save_code.lua
-- KEYS[3] answer_key    this attempt's own: keeps the answer, as the client runs the script again when the connection broke
--                       before the answer came
-- ARGV[1] typed         the code to compare
-- ARGV[2] address       that tries it
-- ARGV[3] network       of the address
-- ARGV[4] most          wrong tries of a network, or of the asker
-- ARGV[5] most_others   wrong tries of all but the asker
-- ARGV[6] tries_life    life of the tries beside a code that never expires, in ms
-- ARGV[7] answer_life   of the answer, in ms
--
-- Answers 'ok', 'wrong', 'none' when there is no code, or 'void' when the address may not try it (any more).

local code_key, tries, answer_key = KEYS[1], KEYS[2], KEYS[3]
local typed, address, network = ARGV[1], ARGV[2], ARGV[3]
local most, most_others = tonumber(ARGV[4]), tonumber(ARGV[5])
local tries_life, answer_life = tonumber(ARGV[6]), ARGV[7]

local before = redis.call('GET', answer_key)
if before then return before end

local function answer(word)
	redis.call('SET', answer_key, word, 'PX', answer_life)
	return word
end

local code = redis.call('GET', code_key)
if code and redis.call('HGET', tries, 'code') ~= code then
	local left = redis.call('PTTL', code_key)
	if left < 0 then left = tries_life end
	redis.call('DEL', tries)
	redis.call('HSET', tries, 'code', code)
	redis.call('PEXPIRE', tries, left + 1000)
end

local asker = redis.call('HGET', tries, 'asker')
local is_asker = asker == address
local own = is_asker and 'asker:' .. address or 'from:' .. network

local function count(field)
	return tonumber(redis.call('HGET', tries, field) or 0)
end

local function used_up()
	return count(own) >= most or not is_asker and count('others') >= most_others
end

if used_up() then return 'void' end
if not code then return 'none' end
if code == typed then
	redis.call('DEL', code_key, tries)
	return answer('ok')
end
redis.call('HINCRBY', tries, own, 1)
if not is_asker then redis.call('HINCRBY', tries, 'others', 1) end
if count('others') >= most_others and (not asker or count('asker:' .. asker) >= most) then
	redis.call('DEL', code_key)
end
return answer(used_up() and 'void' or 'wrong')
