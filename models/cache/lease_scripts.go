package cache

import "github.com/paidui/paidui/models/redisx"

// Every script works on one value's keys, which share a cluster slot:
//
//	KEYS[1] value   the JSON; "-1" is null: not in the database
//	KEYS[2] lease   the token of whoever may fill
//	KEYS[3] last    the last known value, of caches that serve stale ones
//	KEYS[4] marker  of a change that was applied; left out where there is none
//
// Writes come after all that can refuse them, and the value before what follows from it. A message that Redis refuses
// fails nothing: what other processes keep lives out its expiry.

// shorten lets the last known value live for what ARGV says from now on, if it would live longer.
const shorten = `
local function shorten(ms)
	if ms ~= '0' and redis.call('PTTL', KEYS[3]) > tonumber(ms) then redis.call('PEXPIRE', KEYS[3], ms) end
end
`

var (
	// lookScript ARGV: token, lease's life (ms), a value that counts as missing. It answers the value, or 1 when the
	// token now holds the lease, or 0 when another does. An empty value, and a key of another type, count as missing; and
	// so does a lease that is none of ours, since it does not end as ours do.
	lookScript = redisx.NewScript(`
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'table' then value = '' end
if value and value ~= '' and value ~= ARGV[3] then return value end
if value then redis.call('DEL', KEYS[1]) end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
local holder, left = redis.pcall('GET', KEYS[2]), redis.call('PTTL', KEYS[2])
if holder == ARGV[1] then return 1 end
if type(holder) == 'string' and left >= 0 and left <= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
`)

	// seizeScript ARGV: token, lease's life (ms), '1' to drop the value, last's life then (ms), channel, message. The
	// token holds the lease, whoever held it. It answers 0, and does nothing, when the marker is there.
	seizeScript = redisx.NewScript(shorten + `
if KEYS[4] and redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
if ARGV[3] == '1' then
	redis.call('DEL', KEYS[1])
	shorten(ARGV[4])
	redis.pcall('PUBLISH', ARGV[5], ARGV[6])
end
return 1
`)

	// fillScript ARGV: token, value, its life (ms), last's life (ms, 0: no last), marker's life (ms), channel, message
	// ('' for none). It answers 1 when it stored the value, and 0 when the token does not hold the lease.
	fillScript = redisx.NewScript(`
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if ARGV[4] ~= '0' then redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[4]) end
redis.call('DEL', KEYS[2])
if KEYS[4] then redis.call('SET', KEYS[4], '1', 'PX', ARGV[5]) end
if ARGV[7] ~= '' then redis.pcall('PUBLISH', ARGV[6], ARGV[7]) end
return 1
`)

	// voidScript ARGV: last's life from now (ms, 0: no last), marker's life (ms), channel, message. It drops the value and
	// the lease, and answers 1; or 0, having done nothing, when the marker is there.
	voidScript = redisx.NewScript(shorten + `
if KEYS[4] and redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
shorten(ARGV[1])
if KEYS[4] then redis.call('SET', KEYS[4], '1', 'PX', ARGV[2]) end
redis.pcall('PUBLISH', ARGV[3], ARGV[4])
return 1
`)

	// releaseScript ARGV: token. It gives the lease up, if the token holds it.
	releaseScript = redisx.NewScript(`
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[2])
`)
)
