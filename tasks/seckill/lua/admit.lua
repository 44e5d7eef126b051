-- Is the gate of an order's task: open for a user who is let in now, and shut for one who is in already, who keeps his task,
-- whatever became of the sale since.
--
-- KEYS[1] sale
-- KEYS[2] admitted    by user
-- KEYS[3] pending     by task
-- ARGV[1] user        of the gate's function
-- ARGV[2] task        of the gate's function
-- ARGV[3] grace       of the gate's function, in ms: until a reservation is looked at
--
-- Answers a word, as the reply, and what goes with it: new or again (the task, whether it is pending), load, unknown, sold_out,
-- not_started or ended (begin and end of the sale).

local sale_key, admitted, pending = KEYS[1], KEYS[2], KEYS[3]

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local sale = redis.call('HMGET', sale_key, 'total', 'starts_at', 'ends_at')
local total, starts_at, ends_at = sale[1], sale[2], sale[3]
local left = total and tonumber(total) - redis.call('HLEN', admitted) or 0
local dues = {} -- by grace

function gate(ARGV)
	local user, task, grace = ARGV[1], ARGV[2], ARGV[3]
	local before = redis.call('HGET', admitted, user)
	if before then return false, {'again', before, redis.call('HEXISTS', pending, before)} end
	if not total then return false, {'load'} end
	if total == '-1' then return false, {'unknown'} end
	if now < tonumber(starts_at) then return false, {'not_started', starts_at, ends_at} end
	if now >= tonumber(ends_at) then return false, {'ended', starts_at, ends_at} end
	if left <= 0 then return false, {'sold_out'} end
	left = left - 1
	dues[grace] = dues[grace] or string.format('%.0f', now + tonumber(grace))
	redis.call('HSET', admitted, user, task)
	redis.call('HSET', pending, task, user .. ':' .. dues[grace])
	return true, {'new', task, 1}
end
