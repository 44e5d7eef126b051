-- Changes entries of a list, each if the token still holds its lease, which it gives up.
--
-- KEYS[1] … KEYS[3] those of the list: see lua/lib/list.lua
-- KEYS[4] …         leases of entries
-- ARGV[1] token
-- ARGV[2] most      how many entries a list keeps
-- ARGV[3] fewest    how many entries a list keeps that is a part
-- ARGV[4] life      of the list, in ms
-- then of each entry, in the order of the leases
-- ARGV    member
-- ARGV    score     '' when the entry is to go
--
-- Answers of each entry 0: its lease is lost, 1: it was so already, 2: it has changed.
--
-- A list that is a part has the newest entries without a gap. So an entry that would become its oldest is left out: older ones
-- may be missing in between. And it is deleted when so many have gone that it is not worth keeping.
--
--- @include redisx/lease.lua
--- @include lua/lib/list.lua

local token, most, fewest, new_life = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local entries = #KEYS - 3

-- entry gives the lease, the member and the score of the i-th entry, from 1.
local function entry(i)
	local at = 2 * i + 3
	return KEYS[i + 3], ARGV[at], ARGV[at + 1]
end

local state, n = get_state()
local was, life = state, redis.call('PTTL', state_key)
if life <= 0 then life = new_life end
local answers = {}

local function drop()
	redis.call('UNLINK', list, state_key)
	state = false
end

local function put(member, score)
	if score ~= '' then
		redis.call('ZADD', list, score, member)
		if n == 0 then redis.call('PEXPIRE', list, life) end
	end
	if score == '' or state == 'more' and redis.call('ZRANK', list, member) == 0 then
		redis.call('ZREM', list, member)
	end
	n = redis.call('ZCARD', list)
	if n > most then
		redis.call('ZREMRANGEBYRANK', list, 0, n - most - 1)
		n, state = most, 'more'
	end
	if state == 'more' then
		if n == 0 or n < fewest then drop() end
	elseif n == 0 then
		state = 'empty'
	else
		state = 'whole'
	end
end

for i = 1, entries do
	local entry_lease, member, score = entry(i)
	local answer = 0
	if holds_lease(entry_lease, token) then
		redis.call('DEL', entry_lease)
		answer = 1
		if state then
			local state_before, score_before = state, redis.call('ZSCORE', list, member)
			put(member, score)
			if state ~= state_before or redis.call('ZSCORE', list, member) ~= score_before then answer = 2 end
		end
	end
	answers[#answers + 1] = answer
end
if state and state ~= was then redis.call('SET', state_key, state, 'PX', life) end
return answers
