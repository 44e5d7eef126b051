-- What Redis holds of the counts of one kind, in keys that share a cluster slot. They are the first keys of every script that
-- includes this; see redisCounts.keys in Go.
--
-- KEYS[1] counts    zset user -> count, 1 and more
-- KEYS[2] built     hash: card, debts and suspects, the sizes of those three; since, from when on no mark was lost; at, when a
--                   whole reconciliation ended, absent: the counts are not complete; run:<token>, when one that goes on began
--                   (all ms since 1970)
-- KEYS[3] window    hash of what is being compared with the database: token of the reconciler, lo and hi, the range of users;
--                   noted, how many users are in noted; or frozen, how many users are in frozen. It expires
-- KEYS[4] noted     set of users in the window whose counts were changed since it was opened
-- KEYS[5] frozen    set of users whose counts must not change while there is the window
-- KEYS[6] suspects  set of users of whom it is not sure whether all changes are counted
-- KEYS[7] debts     hash user -> what the count is below zero, while changes are counted out of their order
--
-- The clock is Redis's own, the same for all processes.
local counts, built, window, noted, frozen, suspects, debts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]

local function now()
	local t = redis.call('TIME')
	return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- is_complete is false when something was lost, by eviction or by somebody's hand.
local function is_complete()
	local size = redis.call('HMGET', built, 'card', 'debts', 'suspects')
	return redis.call('ZCARD', counts) == tonumber(size[1] or 0)
		and redis.call('HLEN', debts) == tonumber(size[2] or 0)
		and redis.call('SCARD', suspects) == tonumber(size[3] or 0)
end

-- forget_if_lost makes the counts incomplete when something was lost. That may have been marks, too: changes whose tasks were
-- made before may be counted or not.
local function forget_if_lost()
	if redis.call('EXISTS', built) == 0 or not is_complete() then
		redis.call('DEL', built)
		redis.call('HSET', built, 'since', string.format('%.0f', now()))
	end
end

-- oldest is the earliest time at which a task was made whose change is still counted by its delta, when marks are sure to
-- stay for keep ms: if the change was counted before, its mark is there.
local function oldest(keep)
	return math.max(now() - tonumber(keep), tonumber(redis.call('HGET', built, 'since')))
end

local function save_sizes()
	redis.call('HSET', built, 'card', redis.call('ZCARD', counts), 'debts', redis.call('HLEN', debts),
		'suspects', redis.call('SCARD', suspects))
end

local function get_count(user)
	return tonumber(redis.call('ZSCORE', counts, user) or redis.call('HGET', debts, user) or 0)
end

local function set_count(user, n)
	if n > 0 then
		redis.call('ZADD', counts, string.format('%.0f', n), user)
	else
		redis.call('ZREM', counts, user)
	end
	if n < 0 then
		redis.call('HSET', debts, user, string.format('%.0f', n))
	else
		redis.call('HDEL', debts, user)
	end
end

-- holds_window tells whether the window is there as the token opened it, and all who were noted in it.
local function holds_window(token)
	local opened = redis.call('HMGET', window, 'token', 'noted', 'frozen')
	return opened[1] == token
		and redis.call('SCARD', noted) == tonumber(opened[2] or 0)
		and redis.call('SCARD', frozen) == tonumber(opened[3] or 0)
end
