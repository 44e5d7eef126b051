package broker

import (
	"encoding/json"
	"time"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// extra is what the script is told of a message that is not plain.
type extra struct {
	Priority string   `json:"prio,omitempty"`
	List     string   `json:"list,omitempty"`     // key of the priority's pending tasks
	Tags     string   `json:"tags,omitempty"`     // joined by spaces
	TagKeys  []string `json:"tag_keys,omitempty"` // of the sets of their tasks
	Lock     string   `json:"lock,omitempty"`     // key of the throttle or debounce
	LockTime int64    `json:"lock_ms,omitempty"`
	Window   bool     `json:"window,omitempty"` // debounce
	Tasks    string   `json:"tasks,omitempty"`  // prefix of the tasks' keys
	Prefix   string   `json:"prefix,omitempty"` // of our keys
	Alone    bool     `json:"alone,omitempty"`  // no queue may have the id
}

// extra is nil for a plain message. everywhere tells whether the script can look into all queues.
func (m *Message) extra(everywhere bool) []byte {
	alone := m.Chosen && everywhere
	if m.Priority == Normal && len(m.Tags) == 0 && m.Throttle <= 0 && m.Debounce <= 0 && !alone {
		return nil
	}
	x := extra{Prefix: format.OwnPrefix(m.Queue), Alone: alone}
	switch m.Priority {
	case High:
		x.Priority, x.List = format.HighName, format.HighKey(m.Queue)
	case Low:
		x.Priority, x.List = format.LowName, format.LowKey(m.Queue)
	}
	for i, tag := range m.Tags {
		if i > 0 {
			x.Tags += " "
		}
		x.Tags += tag
		x.TagKeys = append(x.TagKeys, format.TagKey(m.Queue, tag))
	}
	switch {
	case m.Throttle > 0:
		x.Lock, x.LockTime = format.ThrottleKey(m.Queue, m.Task, format.Digest(m.key())), m.Throttle.Milliseconds()
	case m.Debounce > 0:
		x.Lock, x.LockTime = format.DebounceKey(m.Queue, m.Task, format.Digest(m.Key)), time.Until(m.due()).Milliseconds()
		x.Window, x.Tasks = true, format.TaskKeyPrefix(m.Queue)
	}
	text, err := json.Marshal(x)
	if err != nil { // a struct of texts has a JSON form
		return nil
	}
	return text
}

// key is what uniqueness and throttle go by.
func (m *Message) key() []byte {
	if m.Key != nil {
		return m.Key
	}
	return m.Payload
}

// due is the whole second before which the task does not begin, zero for at once. It is fixed by the first call.
func (m *Message) due() time.Time {
	if m.Debounce > 0 && m.At.IsZero() {
		m.At = time.Now().Add(m.Debounce + time.Second - 1).Truncate(time.Second)
	}
	return m.At
}

// luaPut defines put, which stores the task with the key if neither its id nor its uniqueness nor its throttle is taken,
// and mark, which does the unusual. Field 3 of a message is its id, of at most 128
// bytes; of two the last counts. A chosen id must be free in all queues, of which KEYS[4] is the list.
const luaPut = `
local function taken(id)
	for _, queue in ipairs(redis.call('SMEMBERS', KEYS[4])) do
		if redis.call('EXISTS', '` + format.KeyPrefix + `' .. queue .. '` + format.TaskInfix + `' .. id) == 1 then return true end
	end
	return false
end

local function mark(key, id, x)
	if x.prio then redis.call('HSET', key, 'prio', x.prio) else redis.call('HDEL', key, 'prio') end
	local before = redis.call('HGET', key, 'tags')
	if before then
		for tag in string.gmatch(before, '[^ ]+') do redis.call('SREM', x.prefix .. 'tag:' .. tag, id) end
		redis.call('HDEL', key, 'tags')
	end
	if x.tags then
		redis.call('HSET', key, 'tags', x.tags)
		for _, tag in ipairs(x.tag_keys) do redis.call('SADD', tag, id) end
	end
end

local function replace(x, msg)
	local id = redis.call('GET', x.lock)
	if not id or not x.window then return id end
	local key = x.tasks .. id
	if redis.call('HGET', key, 'state') ~= 'scheduled' then return nil end
	local size = #id < 128 and string.char(#id) or string.char(#id, 1)
	redis.call('HSET', key, 'msg', msg .. string.char(26) .. size .. id)
	mark(key, id, x)
	return '=' .. id
end

local function put(key, unique, scheduled, id, msg, at, ttl, extra, now)
	local x = extra ~= '' and cjson.decode(extra)
	if x and x.lock then
		local owner = replace(x, msg)
		if owner then return owner end
	end
	if unique then
		local owner = redis.call('GET', unique)
		if owner then return owner end
	end
	if redis.call('EXISTS', key) == 1 then return 0 end
	if x and x.alone and taken(id) then return -1 end
	if at == '0' then
		redis.call('HSET', key, 'msg', msg, 'state', 'pending', 'pending_since', now)
	else
		redis.call('HSET', key, 'msg', msg, 'state', 'scheduled')
		redis.call('ZADD', scheduled, at, id)
	end
	if unique then
		redis.call('SET', unique, id, 'EX', ttl)
		redis.call('HSET', key, 'unique_key', unique)
	end
	if x then
		mark(key, id, x)
		if x.lock and x.lock_ms > 0 then redis.call('SET', x.lock, id, 'PX', x.lock_ms) end
		if x.list and at == '0' then
			redis.call('LPUSH', x.list, id)
			return 1, true
		end
	end
	return 1, at == '0', at == '0'
end
`

// luaList puts the queue into asynq's list of queues. asynq's client does it once in its life only: after the loss of
// Redis' data its tasks would run but be found by nobody.
const luaList = `
if ARGV[3] ~= '' then redis.call('SADD', KEYS[4], ARGV[3]) end
`

// enqueueScript KEYS: pending, scheduled, wake, list of queues; then each task's key and, if it is unique, that key.
// ARGV: now (ns), 1 to ring, the queue or nothing to leave the list, number of tasks; then for each: id, message,
// due (s, 0 is now), seconds of uniqueness (0 is none), extra or nothing.
var enqueueScript = redisx.NewScript(luaPut + format.LuaRing + luaList + `
local out, made, k, ready = {}, {}, 5, false
for i = 1, tonumber(ARGV[4]) do
	local a = 5 * i
	local key, unique = KEYS[k], nil
	k = k + 1
	if ARGV[a + 3] ~= '0' then
		unique = KEYS[k]
		k = k + 1
	end
	local r, runs, normal = put(key, unique, KEYS[2], ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[1])
	out[i] = r
	if normal then made[#made + 1] = ARGV[a] end
	if runs then ready = true end
end
if #made > 0 then redis.call('LPUSH', KEYS[1], unpack(made)) end
if ready and ARGV[2] == '1' then ring(KEYS[3]) end
return out
`)
