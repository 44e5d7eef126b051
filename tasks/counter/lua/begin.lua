-- Notes that a reconciliation of all users begins. A key of a type that no script of ours has made goes, and all others with
-- it.
--
-- KEYS[1] … KEYS[7] those of the kind: see lua/lib/kind.lua
-- ARGV[1] run       token of the reconciliation
-- ARGV[2] life      after which a reconciliation that did not end is forgotten, in ms
--
-- Answers 1.
--
--- @include lua/lib/kind.lua

local run, life = ARGV[1], tonumber(ARGV[2])

local types = {'zset', 'hash', 'hash', 'set', 'set', 'set', 'hash'}
for i, want in ipairs(types) do
	local is = redis.call('TYPE', KEYS[i])['ok']
	if is ~= 'none' and is ~= want then
		redis.call('DEL', unpack(KEYS))
		break
	end
end
forget_if_lost()
local fields = redis.call('HGETALL', built)
for i = 1, #fields, 2 do
	local field, began = fields[i], tonumber(fields[i + 1])
	if string.sub(field, 1, 4) == 'run:' and began < now() - life then
		redis.call('HDEL', built, field)
	end
end
redis.call('HSET', built, 'run:' .. run, string.format('%.0f', now()))
save_sizes()
return 1
