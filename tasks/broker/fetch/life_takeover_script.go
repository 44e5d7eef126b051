package fetch

import (
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// heldScript KEYS: active, ended lives. ARGV: life, number of the oldest active tasks to skip, number to look at, prefix of
// the tasks' keys, time of a claim (ms). It returns how many it looked at, how many are active, and ids and tokens of those
// that the life has, the oldest last: none when another worker has finished with the life. It prolongs the claim.
var heldScript = redisx.NewScript(format.LuaClock + format.LuaHolder + `
if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then return {0, 0, {}} end
` + format.LuaDespiteFull("KEYS[2]") + `
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[5]), ARGV[1])
local skip, size, out = tonumber(ARGV[2]), tonumber(ARGV[3]), {}
local ids = redis.call('LRANGE', KEYS[1], -skip - size, -skip - 1)
for _, id in ipairs(ids) do
	local held = redis.call('HMGET', ARGV[4] .. id, 'owner', 'pending_since')
	if holder(held[1], held[2]) == ARGV[1] then
		out[#out + 1] = id
		out[#out + 1] = held[1]
	end
end
return {#ids, redis.call('LLEN', KEYS[1]), out}
`)

// leaseScript KEYS: active, lease, lives. ARGV: number of the oldest active tasks to skip, number to look at, prefix of the
// tasks' keys, time of a lease (s). It gives leases to those that have none, and takes out of the list those that are gone.
// It returns how many it looked at, how many leases it gave, and how many tasks it took out.
var leaseScript = redisx.NewScript(format.LuaClock + format.LuaHolder + `
local skip, size, second = tonumber(ARGV[1]), tonumber(ARGV[2]), math.floor(now / 1000)
` + format.LuaDespiteFull("KEYS[2]") + `
local ids, given, gone = redis.call('LRANGE', KEYS[1], -skip - size, -skip - 1), 0, 0
for _, id in ipairs(ids) do
	local held = redis.call('HMGET', ARGV[3] .. id, 'state', 'owner', 'pending_since')
	if not held[1] then
		gone = gone + redis.call('LREM', KEYS[1], 0, id)
		redis.call('ZREM', KEYS[2], id)
	elseif held[1] == 'active' and not redis.call('ZSCORE', KEYS[2], id) then
		local who = holder(held[2], held[3])
		local ends = second
		if who and redis.call('ZSCORE', KEYS[3], who) then ends = second + tonumber(ARGV[4]) end
		redis.call('ZADD', KEYS[2], ends, id)
		given = given + 1
	end
end
return {#ids, given, gone}
`)

// extendScript KEYS: lease. ARGV: time of a lease (s), then ids. It does what asynq does to extend leases, by Redis's clock
// and also when Redis is full.
var extendScript = redisx.NewScript(format.LuaClock + format.LuaDespiteFull("KEYS[1]") + `
local ends = math.floor(now / 1000) + tonumber(ARGV[1])
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', ends, ARGV[i]) end
return 1
`)
