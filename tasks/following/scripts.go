package following

import "github.com/redis/go-redis/v9"

// Every script works on the keys of one list, which share a cluster slot:
//
//	KEYS[1] list   sorted set: ids of users, by the time since when they are followed
//	KEYS[2] state  whole, more or empty; see the package
//	KEYS[3] lease  the token of whoever loads the list
//	KEYS[4] …      a set that is being filled, or the leases of single entries

// loaded gives the state and the number of entries of a list that is there, and false for anything else.
const loaded = `
local function loaded()
	local state, n = redis.pcall('GET', KEYS[2]), redis.pcall('ZCARD', KEYS[1])
	if type(state) ~= 'string' or type(n) ~= 'number' then return false end
	if state == 'empty' and n == 0 or (state == 'whole' or state == 'more') and n > 0 then return state, n end
	return false
end
`

var (
	// pageScript ARGV: the first and the last place, from 0, newest first. It answers the state, the number of entries,
	// and those of the page with their scores; nil when the list is to be loaded.
	pageScript = redis.NewScript(loaded + `
local state, n = loaded()
if not state then return false end
if n == 0 then return {state, n, {}} end
return {state, n, redis.call('ZREVRANGE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES')}
`)

	// acquireScript ARGV: token, the lease's life (ms). It answers mine, busy, or loaded. A lease that is of another type,
	// or does not end as ours do, is nobody's.
	acquireScript = redis.NewScript(loaded + `
if loaded() then return 'loaded' end
if redis.call('SET', KEYS[3], ARGV[1], 'NX', 'PX', ARGV[2]) then return 'mine' end
local holder, left = redis.pcall('GET', KEYS[3]), redis.call('PTTL', KEYS[3])
if holder == ARGV[1] then return 'mine' end
if type(holder) == 'string' and left >= 0 and left <= tonumber(ARGV[2]) then return 'busy' end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
return 'mine'
`)

	// putScript KEYS[4]: the new set. ARGV: token, the lease's life, the new set's life (ms), the most entries that it
	// keeps, then score and member in turn. It answers 0, and drops the new set, when the lease is lost.
	putScript = redis.NewScript(`
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
	redis.call('UNLINK', KEYS[4])
	return 0
end
redis.call('PEXPIRE', KEYS[3], ARGV[2])
redis.call('ZADD', KEYS[4], unpack(ARGV, 5))
redis.call('PEXPIRE', KEYS[4], ARGV[3])
local over = redis.call('ZCARD', KEYS[4]) - tonumber(ARGV[4])
if over > 0 then redis.call('ZREMRANGEBYRANK', KEYS[4], 0, over - 1) end
return 1
`)

	// fillScript KEYS[4]: the new set. ARGV: token, state, how many entries the new set must have, the list's life (ms).
	// The new set becomes the list, unless the lease is lost, or a part of the new set is. It answers 1 if it did.
	fillScript = redis.NewScript(`
local whole = redis.call('ZCARD', KEYS[4]) == tonumber(ARGV[3])
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
	redis.call('UNLINK', KEYS[4])
	return 0
end
redis.call('DEL', KEYS[3])
if not whole then
	redis.call('UNLINK', KEYS[4])
	return 0
end
redis.call('UNLINK', KEYS[1], KEYS[2])
if ARGV[2] ~= 'empty' then
	redis.call('RENAME', KEYS[4], KEYS[1])
	redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[4])
return 1
`)

	// releaseScript KEYS[4]: the new set. ARGV: token. It gives up a load.
	releaseScript = redis.NewScript(`
redis.call('UNLINK', KEYS[4])
if redis.call('GET', KEYS[3]) == ARGV[1] then redis.call('DEL', KEYS[3]) end
return 1
`)

	// seizeScript KEYS[4…]: leases of entries. ARGV: token, their life (ms). It ends a load, which may have read what is
	// no longer true, and has the token hold the entries. It answers 0 when there is no list to change.
	seizeScript = redis.NewScript(loaded + `
redis.call('DEL', KEYS[3])
if not loaded() then
	redis.call('UNLINK', KEYS[1], KEYS[2])
	return 0
end
for i = 4, #KEYS do redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[2]) end
return 1
`)

	// applyScript KEYS[4…]: leases of entries. ARGV: token, the most entries that a list keeps, the fewest that it keeps
	// when it is a part, the list's life (ms), then for each entry its member and its score, '' when it is to go. It
	// answers for each entry 0: its lease is lost, 1: it was so already, 2: it has changed.
	//
	// A list that is a part has the newest entries without a gap. So an entry that would become its oldest is left out:
	// older ones may be missing in between. And it is dropped when so many have gone that it is not worth keeping.
	applyScript = redis.NewScript(loaded + `
local most, fewest = tonumber(ARGV[2]), tonumber(ARGV[3])
local state, n = loaded()
local was, life = state, redis.call('PTTL', KEYS[2])
if life <= 0 then life = ARGV[4] end
local answers = {}

local function drop()
	redis.call('UNLINK', KEYS[1], KEYS[2])
	state = false
end

local function put(member, score)
	if score ~= '' then
		redis.call('ZADD', KEYS[1], score, member)
		if n == 0 then redis.call('PEXPIRE', KEYS[1], life) end
	end
	if score == '' or state == 'more' and redis.call('ZRANK', KEYS[1], member) == 0 then
		redis.call('ZREM', KEYS[1], member)
	end
	n = redis.call('ZCARD', KEYS[1])
	if n > most then
		redis.call('ZREMRANGEBYRANK', KEYS[1], 0, n - most - 1)
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

for i = 4, #KEYS do
	local at = 2 * i - 3
	local member, score, answer = ARGV[at], ARGV[at + 1], 0
	if redis.call('GET', KEYS[i]) == ARGV[1] then
		redis.call('DEL', KEYS[i])
		answer = 1
		if state then
			local before, score0 = state, redis.call('ZSCORE', KEYS[1], member)
			put(member, score)
			if state ~= before or redis.call('ZSCORE', KEYS[1], member) ~= score0 then answer = 2 end
		end
	end
	answers[#answers + 1] = answer
end
if state and state ~= was then redis.call('SET', KEYS[2], state, 'PX', life) end
return answers
`)

	// peekScript answers the state, the number of entries, and the oldest one with its score; 0 when nothing is there,
	// and 1 when something that is no list was: it is gone then.
	peekScript = redis.NewScript(loaded + `
local state, n = loaded()
if state and redis.call('PTTL', KEYS[2]) > 0 and (n == 0 or redis.call('PTTL', KEYS[1]) > 0) then
	return {state, n, redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')}
end
return redis.call('UNLINK', KEYS[1], KEYS[2]) > 0 and 1 or 0
`)

	// dropScript drops a list. It answers 1 if there was something.
	dropScript = redis.NewScript(`
return redis.call('UNLINK', KEYS[1], KEYS[2]) > 0 and 1 or 0
`)
)
