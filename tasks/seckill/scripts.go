package seckill

import (
	"embed"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker"
)

// Every script works on the keys of one goods, which share a cluster slot, in this order (see keys):
//
//	KEYS[1] sale      hash total, starts_at, ends_at (ms since 1970), generation, left; an older program may have written a total of -1 for unknown goods
//	KEYS[2] admitted  hash user id -> task id: everyone who has an order or a reservation
//	KEYS[3] pending   hash task id -> "user id:due": the reservations among them; due (ms) is when reconcile looks at it
//	KEYS[4] load      string: the token of whoever is loading the sale
//
// A pending task is always its user's in admitted. left counts those who were removed from admitted while the sale was
// there (see soldOutVersion). The clock is Redis's own, one for all processes.

const luaNow = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`

//go:embed lua
var files embed.FS

var admitGate = broker.LoadGate(files, "lua/admit.lua")

// settleScript ARGV: user and task of each committed order in turn. That task replaces any other that the user has.
// The user of a sale that Redis does not know, and that nobody is loading, is left out: whoever loads it finds the
// order.
var settleScript = redis.NewScript(`
local known = redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[4]) > 0
for i = 1, #ARGV, 2 do
	local had = redis.call('HGET', KEYS[2], ARGV[i])
	if had and had ~= ARGV[i + 1] then redis.call('HDEL', KEYS[3], had) end
	redis.call('HDEL', KEYS[3], ARGV[i + 1])
	if known and had ~= ARGV[i + 1] then redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
end
return 1
`)

// giveBackScript ARGV: '1' when the database had no stock, then user and task in turn. If Redis would then admit one
// more, what it holds of the sale is wrong, and must be loaded again.
var giveBackScript = redis.NewScript(`
local given = 0
for i = 2, #ARGV, 2 do
	redis.call('HDEL', KEYS[3], ARGV[i + 1])
	if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[i + 1] then
		given = given + redis.call('HDEL', KEYS[2], ARGV[i])
	end
end
local total = redis.call('HGET', KEYS[1], 'total')
if total and ARGV[1] == '1' and redis.call('HLEN', KEYS[2]) < tonumber(total) then
	redis.call('DEL', KEYS[1], KEYS[4])
elseif total and given > 0 then
	redis.call('HINCRBY', KEYS[1], 'left', given)
end
return given
`)

// acquireScript ARGV: token, life (ms), '1' to let a loaded sale be.
var acquireScript = redis.NewScript(`
if ARGV[3] == '1' and redis.call('EXISTS', KEYS[1]) == 1 then return 'loaded' end
if redis.call('SET', KEYS[4], ARGV[1], 'NX', 'PX', ARGV[2]) then return 'mine' end
return 'busy'
`)

// fillScript ARGV: token, total, starts, ends, keep (ms after the end), least (ms). The token becomes the sale's
// generation, unless the sale is the same as before.
var fillScript = redis.NewScript(luaNow + `
if redis.call('GET', KEYS[4]) ~= ARGV[1] then return 0 end
local ttl = math.max(tonumber(ARGV[4]) + tonumber(ARGV[5]) - now, tonumber(ARGV[6]))
local old = redis.call('HMGET', KEYS[1], 'total', 'starts_at', 'ends_at', 'generation')
redis.call('DEL', KEYS[4])
if not old[4] or old[1] ~= ARGV[2] or old[2] ~= ARGV[3] or old[3] ~= ARGV[4] then
	redis.call('DEL', KEYS[1])
	redis.call('HSET', KEYS[1], 'total', ARGV[2], 'starts_at', ARGV[3], 'ends_at', ARGV[4], 'generation', ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl))
return 1
`)

// extendScript ARGV: token, life (ms).
var extendScript = redis.NewScript(`
if redis.call('GET', KEYS[4]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[4], ARGV[2])
`)

// releaseScript ARGV: token.
var releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[4]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[4])
`)

// forgetScript ARGV: token. Reservations outlive their sale.
var forgetScript = redis.NewScript(`
if redis.call('GET', KEYS[4]) ~= ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[4])
return 1
`)

// countScript gives admitted, pending, and 1 if the sale is loaded.
var countScript = redis.NewScript(`
return {redis.call('HLEN', KEYS[2]), redis.call('HLEN', KEYS[3]), redis.call('EXISTS', KEYS[1])}
`)

// postponeScript ARGV: due, then task and user in turn.
var postponeScript = redis.NewScript(`
for i = 2, #ARGV, 2 do
	if redis.call('HEXISTS', KEYS[3], ARGV[i]) == 1 then
		redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1] .. ':' .. ARGV[1])
	end
end
return 1
`)

// pruneScript ARGV: user, task. Removes someone admitted who has neither a reservation nor, the caller found, an order.
var pruneScript = redis.NewScript(`
if redis.call('HEXISTS', KEYS[3], ARGV[2]) == 1 then return 0 end
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HINCRBY', KEYS[1], 'left', 1) end
return redis.call('HDEL', KEYS[2], ARGV[1])
`)

// retireScript KEYS: live. ARGV: goods, the score seen. Somebody who loads the sale gives it a new score.
var retireScript = redis.NewScript(`
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '') ~= tonumber(ARGV[2]) then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])
`)
