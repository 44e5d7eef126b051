package broker

import (
	"context"
	"fmt"
	"sync"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// Gate is a condition for a message, which Redis judges in the moment of enqueueing. It may be asked again when the answer
// is lost, so it must let the same message in again, or say that it is in.
type Gate struct {
	// Prelude is Lua that reads what Source goes by, with KEYS. It runs once for all messages that are judged together,
	// which have the same Source, Prelude and Keys; its local variables are Source's to use and to change.
	Prelude string
	// Source is the body of a Lua function of KEYS and ARGV. It returns whether to enqueue, and a reply.
	Source string
	Keys   []string
	Args   []any
}

// gatedScript is as enqueueScript for tasks with one gate. After the list of queues come the gate's KEYS; after the
// number of tasks in ARGV the numbers of the gate's KEYS and ARGV, and after each task's uniqueness the gate's ARGV for
// it. A gate that breaks does so for its own task alone.
const gatedScript = luaPut + format.LuaRing + `
local keys, nargs = {}, tonumber(ARGV[6])
for i = 1, tonumber(ARGV[5]) do keys[i] = KEYS[4 + i] end
local gate
do
	local KEYS = keys
	%s
	gate = function(ARGV)
		%s
	end
end
local out, made, k, a, ready, any = {}, {}, 5 + #keys, 7, false, false
for i = 1, tonumber(ARGV[4]) do
	local key, unique = KEYS[k], nil
	k = k + 1
	if ARGV[a + 3] ~= '0' then
		unique = KEYS[k]
		k = k + 1
	end
	local args = {}
	for n = 1, nargs do args[n] = ARGV[a + 4 + n] end
	local sound, open, reply = pcall(gate, args)
	if reply == nil then reply = false end
	if not sound then
		out[i] = {2, type(open) == 'table' and open.err or tostring(open), 0}
	elseif not open then
		out[i] = {0, reply, 0}
	else
		local r, runs, normal = put(key, unique, KEYS[2], ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[1])
		out[i] = {1, reply, r}
		if normal then made[#made + 1] = ARGV[a] end
		if runs then ready = true end
		if r == 1 then any = true end
	end
	a = a + 5 + nargs
end
if any and ARGV[3] ~= '' then redis.call('SADD', KEYS[4], ARGV[3]) end
if #made > 0 then redis.call('LPUSH', KEYS[1], unpack(made)) end
if ready and ARGV[2] == '1' then ring(KEYS[3]) end
return out
`

// askScript is a gate alone.
const askScript = `
%s
local function gate(ARGV)
	%s
end
local open, reply = gate(ARGV)
if reply == nil then reply = false end
return {open and 1 or 0, reply}
`

// gates keeps the scripts made of gates.

type gates struct {
	format  string
	scripts sync.Map // gateSource: *redisx.Script
}

type gateSource struct{ prelude, source string }

func (g *gates) script(gate *Gate) *redisx.Script {
	key := gateSource{gate.Prelude, gate.Source}
	if s, ok := g.scripts.Load(key); ok {
		return s.(*redisx.Script)
	}
	s, _ := g.scripts.LoadOrStore(key, redisx.NewScript(fmt.Sprintf(g.format, gate.Prelude, gate.Source)))
	return s.(*redisx.Script)
}

func (b *Broker) ask(ctx context.Context, gate Gate) (open bool, reply any, err error) {
	answer, err := b.questions.script(&gate).Run(ctx, b.rdb, gate.Keys, gate.Args...).Slice()
	if err != nil {
		return false, nil, err
	}
	if len(answer) == 0 || len(answer) > 2 {
		return false, nil, fmt.Errorf("%w: %v", errReply, answer)
	}
	if len(answer) == 2 {
		reply = answer[1]
	}
	return answer[0] == int64(1), reply, nil
}
