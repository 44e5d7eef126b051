package fetch

import (
	"context"
	"fmt"
	"time"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	// takeoverTime is how long a worker that takes over tasks may be silent before another does it.
	takeoverTime = 5 * time.Second
	// walkPause is how often, at most, the list of active tasks is searched for those without a lease.
	walkPause = 30 * time.Second
	// leaseMargin is how long a lease must have ended before it means that the worker is dead: so much may clocks differ.
	// It counts for tasks of which no life tells who has them.
	leaseMargin = 30 * time.Second
	// lapsedLimit bounds the ended leases that one beat looks at.
	lapsedLimit = 64
)

// The standing of a life as Redis has it when a beat comes.
const (
	standingEnded = -1 // its tasks are being taken over
	standingNew   = 0  // unknown until this beat
	standingAlive = 1  // nobody has touched its tasks
)

// beatAnswer is what a beat learns of one queue.
type beatAnswer struct {
	queue    string
	standing int64
	unleased bool     // there are active tasks without a lease, and this worker is to look for them
	own      []string // ids of tasks of this life whose leases ended long ago
	lost     []held   // the same, of no life that is known
	ended    []string // lives whose tasks this worker is to take over
}

// held is an active task and the token of who has it, "" without one.
type held struct{ id, owner string }

// sendBeat is one script, or on a Redis Cluster one for each queue in one round trip.
func (f *Fetcher) sendBeat(ctx context.Context) ([]beatAnswer, error) {
	groups := f.b.Together(f.queues)
	calls := make([]*redisx.Call, len(groups))
	limit := f.life.limit.Milliseconds()
	for i, queues := range groups {
		c := &redisx.Call{Script: beatScript, Args: []any{
			f.life.name, limit, limit / 2, takeoverTime.Milliseconds(), walkPause.Milliseconds(), int(leaseMargin.Seconds()), lapsedLimit,
		}}
		for _, q := range queues {
			c.Keys = append(c.Keys, format.LivesKey(q), format.EndedKey(q), format.ActiveKey(q), format.LeaseKey(q))
			c.Args = append(c.Args, format.TaskKeyPrefix(q))
		}
		calls[i] = c
	}
	redisx.RunScripts(ctx, f.b.Redis(), calls)
	var answers []beatAnswer
	for i, c := range calls {
		reply, err := c.Cmd.Slice()
		if err != nil {
			return nil, err
		}
		if len(reply) != len(groups[i]) {
			return nil, fmt.Errorf("unexpected reply of the beat script: %v", reply)
		}
		for n, q := range groups[i] {
			parts, _ := reply[n].([]any)
			if len(parts) != 5 {
				return nil, fmt.Errorf("unexpected reply of the beat script: %v", reply[n])
			}
			a := beatAnswer{queue: q, unleased: parts[1] == int64(1), own: format.Texts(parts[2]), ended: format.Texts(parts[4])}
			a.standing, _ = parts[0].(int64)
			a.lost = pairs(format.Texts(parts[3]))
			answers = append(answers, a)
		}
	}
	return answers, nil
}

// pairs reads ids and tokens in turn.
func pairs(list []string) []held {
	out := make([]held, 0, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		out = append(out, held{list[i], list[i+1]})
	}
	return out
}

// beatScript KEYS, for each queue: lives, ended lives, active, lease. ARGV: life, limit (ms), silence of all that is an
// outage (ms), time of a claim (ms), pause between walks (ms), margin of leases (s), number of ended leases to look at; then for
// each queue the prefix of its tasks' keys. It returns for each queue the life's standing, 1 if active tasks may have no
// lease, ids of the life's own tasks whose leases have ended, ids and tokens of those that no known life has, and ended
// lives. What it hands to this worker it hides from the others for the time of a claim. Ended lives have the member ” for
// the walk.
var beatScript = redisx.NewScript(format.LuaClock + format.LuaHolder + `
local life, limit, outage, claim, walk = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local second, margin = math.floor(now / 1000), tonumber(ARGV[6])
` + format.LuaDespiteFull("KEYS[1]") + `
local sets, out = {}, {}
for k = 1, #KEYS do
	if k % 4 ~= 1 then sets[#sets + 1] = KEYS[k] end
end
local last = redis.call('ZSCORE', KEYS[1], life)
local away = not last or math.abs(now - tonumber(last)) > outage -- otherwise there was no outage: this life has beaten
local any = redis.call('EXISTS', unpack(sets)) > 0 -- ended lives, active tasks or leases: an idle worker's queues have none

for q = 1, #KEYS / 4 do
	local lives, ended, active, leases = KEYS[4 * q - 3], KEYS[4 * q - 2], KEYS[4 * q - 1], KEYS[4 * q]
	local tasks = ARGV[7 + q]
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
	for _, id in ipairs(any and redis.call('ZRANGEBYSCORE', leases, '-inf', second - margin, 'LIMIT', 0, ARGV[7]) or {}) do
		local held = redis.call('HMGET', tasks .. id, 'owner', 'state', 'pending_since')
		local who = holder(held[1], held[3])
		if held[2] ~= 'active' then
			redis.call('ZREM', leases, id)
		elseif who == life then
			own[#own + 1] = id
		elseif not who or not redis.call('ZSCORE', lives, who) and not redis.call('ZSCORE', ended, who) then
			redis.call('ZADD', leases, second - margin + math.floor(claim / 1000), id)
			lost[#lost + 1] = id
			lost[#lost + 1] = held[1] or ''
		end
	end

	local unleased = 0
	if any and redis.call('LLEN', active) > redis.call('ZCARD', leases) and not redis.call('ZSCORE', ended, '') then
		redis.call('ZADD', ended, now + walk, '')
		unleased = 1
	end
	out[q] = {standing, unleased, own, lost, mine}
end
return out
`)

// leaveScript KEYS, for each queue: lives, ended lives. ARGV: life, 1 if others are to look for its tasks.
var leaveScript = redisx.NewScript(format.LuaClock + `
for k = 1, #KEYS, 2 do
	if redis.call('ZREM', KEYS[k], ARGV[1]) == 1 and ARGV[2] == '1' then redis.call('ZADD', KEYS[k + 1], now, ARGV[1]) end
end
return 1
`)
