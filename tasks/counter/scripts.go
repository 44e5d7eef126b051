package counter

import "github.com/redis/go-redis/v9"

// Every script works on the keys of one kind, which share a cluster slot, in this order (see ledger.keys):
//
//	KEYS[1] counts    zset user -> count, 1 and more
//	KEYS[2] built     hash: card, debts and suspects, the sizes of those three; since, from when on no mark was lost; at,
//	                  when a whole reconciliation ended, absent: the counts are not whole; run:<token>, when one that goes
//	                  on began (all ms since 1970)
//	KEYS[3] window    hash of what is being compared with the database: token of the reconciler, lo and hi, the range of
//	                  users; noted, how many users are in noted; or frozen, how many users are in frozen. It expires
//	KEYS[4] noted     set of users in the window whose counts were changed since it was opened
//	KEYS[5] frozen    set of users whose counts must not change while there is the window
//	KEYS[6] suspects  set of users of whom it is not sure whether all changes are counted
//	KEYS[7] debts     hash user -> what the count is below zero, while changes are counted out of their order
//
// and from KEYS[8] on the sets with the marks of tasks, as a script needs them. The clock is Redis's own, the same for all
// processes.
const keyCount = 7

const luaPrelude = `
local function now()
	local t = redis.call('TIME')
	return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- is false when something was lost, by eviction or by somebody's hand
local function whole()
	local size = redis.call('HMGET', KEYS[2], 'card', 'debts', 'suspects')
	return redis.call('ZCARD', KEYS[1]) == tonumber(size[1] or 0)
		and redis.call('HLEN', KEYS[7]) == tonumber(size[2] or 0)
		and redis.call('SCARD', KEYS[6]) == tonumber(size[3] or 0)
end

-- What was lost may have been marks, too: tasks that were made before may be counted or not.
local function guard()
	if redis.call('EXISTS', KEYS[2]) == 0 or not whole() then
		redis.call('DEL', KEYS[2])
		redis.call('HSET', KEYS[2], 'since', string.format('%.0f', now()))
	end
end

-- oldest is when a task was made at least that is counted by its delta. Its mark is there if it was counted before.
local function oldest(keep)
	return math.max(now() - tonumber(keep), tonumber(redis.call('HGET', KEYS[2], 'since')))
end

local function seal()
	redis.call('HSET', KEYS[2], 'card', redis.call('ZCARD', KEYS[1]), 'debts', redis.call('HLEN', KEYS[7]),
		'suspects', redis.call('SCARD', KEYS[6]))
end

local function value(user)
	return tonumber(redis.call('ZSCORE', KEYS[1], user) or redis.call('HGET', KEYS[7], user) or 0)
end

local function set(user, n)
	if n > 0 then
		redis.call('ZADD', KEYS[1], string.format('%.0f', n), user)
	else
		redis.call('ZREM', KEYS[1], user)
	end
	if n < 0 then
		redis.call('HSET', KEYS[7], user, string.format('%.0f', n))
	else
		redis.call('HDEL', KEYS[7], user)
	end
end
`

// applyScript counts the changes of one task, all or none. ARGV: when the task was made, how long marks are sure to be
// there, when the task's marks may expire (all ms), then user, delta and mark in turn. KEYS[8] takes the marks. It gives
// 'wait' when a user is frozen, 'late' when the task is too old to be counted, else 'done'.
var applyScript = redis.NewScript(luaPrelude + `
guard()
local window = redis.call('HMGET', KEYS[3], 'lo', 'hi', 'frozen')
if window[3] then
	for i = 4, #ARGV, 3 do
		if redis.call('SISMEMBER', KEYS[5], ARGV[i]) == 1 then return 'wait' end
	end
end
-- Large ids are rounded here, lo and hi too: a user in the range is never taken for one outside.
local lo, hi = tonumber(window[1] or 1), tonumber(window[2] or 0)
local function note(user)
	local id = tonumber(user)
	if id >= lo and id <= hi and redis.call('SADD', KEYS[4], user) == 1 then
		redis.call('HINCRBY', KEYS[3], 'noted', 1)
		local left = redis.call('PTTL', KEYS[3])
		if left > 0 then redis.call('PEXPIRE', KEYS[4], left + 60000) end
	end
end
local late = tonumber(ARGV[1]) < oldest(ARGV[2])
for i = 4, #ARGV, 3 do
	local user = ARGV[i]
	if late then
		note(user)
		redis.call('SADD', KEYS[6], user)
	elseif redis.call('SADD', KEYS[8], ARGV[i + 2]) == 1 then
		note(user)
		set(user, value(user) + tonumber(ARGV[i + 1]))
	end
end
if not late then redis.call('PEXPIREAT', KEYS[8], ARGV[3]) end
seal()
return late and 'late' or 'done'
`)

// beginScript ARGV: token of the run, after how long a run is forgotten (ms). What is of a type that no script of ours has
// made goes, and all else with it.
var beginScript = redis.NewScript(luaPrelude + `
local types = {'zset', 'hash', 'hash', 'set', 'set', 'set', 'hash'}
for i, want in ipairs(types) do
	local is = redis.call('TYPE', KEYS[i])['ok']
	if is ~= 'none' and is ~= want then
		redis.call('DEL', unpack(KEYS))
		break
	end
end
guard()
local fields = redis.call('HGETALL', KEYS[2])
for i = 1, #fields, 2 do
	if string.sub(fields[i], 1, 4) == 'run:' and tonumber(fields[i + 1]) < now() - tonumber(ARGV[2]) then
		redis.call('HDEL', KEYS[2], fields[i])
	end
end
redis.call('HSET', KEYS[2], 'run:' .. ARGV[1], string.format('%.0f', now()))
seal()
return 1
`)

// finishScript ARGV: token of the run. It gives 0 when something was lost since the run began.
var finishScript = redis.NewScript(luaPrelude + `
guard()
if redis.call('HDEL', KEYS[2], 'run:' .. ARGV[1]) == 1 then
	redis.call('HSET', KEYS[2], 'at', string.format('%.0f', now()))
end
return redis.call('HEXISTS', KEYS[2], 'at')
`)

// openScript ARGV: token, life (ms), run or nothing, lo, hi, then the users to freeze; without any, those from lo to hi are
// noted. It gives 'busy' while somebody else has a window, 'lost' when something was lost since the run began.
var openScript = redis.NewScript(luaPrelude + `
guard()
if ARGV[3] ~= '' and redis.call('HEXISTS', KEYS[2], 'run:' .. ARGV[3]) == 0 then return 'lost' end
local holder = redis.call('HGET', KEYS[3], 'token')
if holder == ARGV[1] then return 'open' end -- sent twice: who is noted stays noted
if holder then return 'busy' end
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5])
if #ARGV > 5 then
	for i = 6, #ARGV do redis.call('SADD', KEYS[5], ARGV[i]) end
	redis.call('PEXPIRE', KEYS[5], ARGV[2])
	redis.call('HSET', KEYS[3], 'token', ARGV[1], 'frozen', redis.call('SCARD', KEYS[5]))
else
	redis.call('HSET', KEYS[3], 'token', ARGV[1], 'lo', ARGV[4], 'hi', ARGV[5], 'noted', 0)
end
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return 'open'
`)

// luaMine tells whether the window is there as it was opened, and all who were noted in it.
const luaMine = `
local function mine(token)
	local window = redis.call('HMGET', KEYS[3], 'token', 'noted', 'frozen')
	return window[1] == token
		and redis.call('SCARD', KEYS[4]) == tonumber(window[2] or 0)
		and redis.call('SCARD', KEYS[5]) == tonumber(window[3] or 0)
end
`

// repairScript makes counts what they are in the database, and marks the changes that are in them and on their way: they
// are counted by that. ARGV: token of the window, how long marks are sure to be there (ms); then for each user the user, the
// count, the number of changes on their way, and for each of them the place of its bucket in KEYS, its mark, its delta, and
// when its task was made and its mark may expire. Users who were noted stay as they are. It gives nothing when the window is
// lost, else users in turn with 1 when the count was wrong, 0 when it was right.
var repairScript = redis.NewScript(luaPrelude + luaMine + `
guard()
if not mine(ARGV[1]) then return false end
local first = oldest(ARGV[2])
local found = {}
local i = 3
while i <= #ARGV do
	local user, count, changes = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
	local right = count
	i = i + 3
	local noted = redis.call('SISMEMBER', KEYS[4], user) == 1
	for _ = 1, changes do
		if not noted and tonumber(ARGV[i + 3]) >= first then
			local bucket = KEYS[tonumber(ARGV[i])]
			if redis.call('SADD', bucket, ARGV[i + 1]) == 1 then right = right - tonumber(ARGV[i + 2]) end
			redis.call('PEXPIREAT', bucket, ARGV[i + 4])
		end
		i = i + 5
	end
	if not noted then
		local value = value(user)
		if value ~= count then set(user, count) end
		redis.call('SREM', KEYS[6], user)
		found[#found + 1] = user
		found[#found + 1] = value == right and 0 or 1
	end
end
seal()
return found
`)

// closeScript ARGV: token. It gives the users who were noted, or nothing when the window is lost.
var closeScript = redis.NewScript(luaPrelude + luaMine + `
if not mine(ARGV[1]) then return false end
local noted = redis.call('SMEMBERS', KEYS[4])
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5])
return noted
`)

// removeScript ARGV: members that are no users. It gives how many counts there were.
var removeScript = redis.NewScript(luaPrelude + `
guard()
local removed = 0
for _, member in ipairs(ARGV) do
	removed = removed + redis.call('ZREM', KEYS[1], member)
	redis.call('HDEL', KEYS[7], member)
	redis.call('SREM', KEYS[6], member)
end
seal()
return removed
`)

// countScript writes nothing, so that a replica runs it. ARGV: user. It gives the count, or nothing when it is not known.
var countScript = redis.NewScript(luaPrelude + `
if redis.call('HEXISTS', KEYS[2], 'at') == 0 or not whole() then return 'unbuilt' end
if redis.call('SISMEMBER', KEYS[6], ARGV[1]) == 1 then return 'suspect' end
return redis.call('ZSCORE', KEYS[1], ARGV[1]) or '0'
`)

// topScript writes nothing. ARGV: first and last place, from 0. It gives users and counts in turn, the highest first, or
// nothing when they are not known.
var topScript = redis.NewScript(luaPrelude + `
if redis.call('HEXISTS', KEYS[2], 'at') == 0 or not whole() then return false end
return redis.call('ZREVRANGE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES')
`)
