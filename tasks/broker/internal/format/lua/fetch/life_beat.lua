-- Prolongs the life of a worker, and finds what is to be taken over. What it hands to this worker it hides from the others for
-- the time of a claim.
--
-- KEYS[1] lives       of the first queue: see below
-- ARGV[1] life
-- ARGV[2] limit       how long a worker may be silent, in ms
-- ARGV[3] outage      silence of all that means that Redis was away, in ms
-- ARGV[4] claim       how long what is found is this worker's to take over, in ms
-- ARGV[5] walk        pause between two looks for tasks without a lease, in ms
-- ARGV[6] margin      how long a lease must have ended, in s
-- ARGV[7] most        number of ended leases to look at
--
-- then for each queue, in KEYS:
--   lives             by their last beat
--   ended             lives that have ended, by when the next worker may take over; the member '' is the walk
--   active
--   leases
-- in ARGV: the prefix of its tasks' keys.
--
-- Answers for each queue the life's standing (-1 ended, 0 unknown until now, 1 alive), 1 if active tasks may have no lease, ids
-- of the life's own tasks whose leases have ended, ids and tokens of those that no known life has, and ended lives.
--
--- @include lua/lib/clock.lua
--- @include lua/lib/holder.lua
--- @include lua/lib/despite_full.lua

local life, limit, outage, claim, walk = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local margin, most = tonumber(ARGV[6]), ARGV[7]
local per_queue, options = 4, 7 -- KEYS of each queue, ARGV before those of the queues
local second = math.floor(now / 1000)

local first_lives = KEYS[1]
despite_full(first_lives)
local sets = {}
for k = 1, #KEYS, per_queue do
	for n = 1, per_queue - 1 do sets[#sets + 1] = KEYS[k + n] end
end
local last = redis.call('ZSCORE', first_lives, life)
local away = not last or math.abs(now - tonumber(last)) > outage -- otherwise there was no outage: this life has beaten
local any = redis.call('EXISTS', unpack(sets)) > 0 -- ended lives, active tasks or leases: an idle worker's queues have none

local answers = {}
for q = 1, #KEYS / per_queue do
	local k = per_queue * (q - 1) + 1
	local lives, ended, active, leases = unpack(KEYS, k, k + per_queue - 1)
	local tasks = ARGV[options + q]
	local newest = away and redis.call('ZREVRANGE', lives, 0, 0, 'WITHSCORES')[2]
	if newest and math.abs(now - tonumber(newest)) > outage then
		for _, one in ipairs(redis.call('ZRANGE', lives, 0, -1)) do redis.call('ZADD', lives, now, one) end
	end
	local standing = -1
	if not any or not redis.call('ZSCORE', ended, life) then
		standing = 1 - redis.call('ZADD', lives, now, life)
	end
	local oldest = redis.call('ZRANGE', lives, 0, 0, 'WITHSCORES')[2]
	if oldest and tonumber(oldest) < now - limit then
		for _, one in ipairs(redis.call('ZRANGEBYSCORE', lives, '-inf', now - limit - 1, 'LIMIT', 0, 64)) do
			redis.call('ZREM', lives, one)
			redis.call('ZADD', ended, now, one)
			any = true
		end
	end

	local mine = {}
	for _, one in ipairs(any and redis.call('ZRANGEBYSCORE', ended, '-inf', now, 'LIMIT', 0, 4) or {}) do
		if one == '' then
			redis.call('ZREM', ended, '')
		else
			redis.call('ZADD', ended, now + claim, one)
			mine[#mine + 1] = one
		end
	end

	local own, lost = {}, {}
	for _, id in ipairs(any and redis.call('ZRANGEBYSCORE', leases, '-inf', second - margin, 'LIMIT', 0, most) or {}) do
		local held = redis.call('HMGET', tasks .. id, 'owner', 'state', 'pending_since')
		local owner, state, since = held[1], held[2], held[3]
		local who = holder(owner, since)
		if state ~= 'active' then
			redis.call('ZREM', leases, id)
		elseif who == life then
			own[#own + 1] = id
		elseif not who or not redis.call('ZSCORE', lives, who) and not redis.call('ZSCORE', ended, who) then
			redis.call('ZADD', leases, second - margin + math.floor(claim / 1000), id)
			lost[#lost + 1] = id
			lost[#lost + 1] = owner or ''
		end
	end

	local unleased = 0
	if any and redis.call('LLEN', active) > redis.call('ZCARD', leases) and not redis.call('ZSCORE', ended, '') then
		redis.call('ZADD', ended, now + walk, '')
		unleased = 1
	end
	answers[q] = {standing, unleased, own, lost, mine}
end
return answers
