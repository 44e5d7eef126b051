-- Tells whether a life has ended.
--
-- ARGV[1] life
-- ARGV[2] limit     how long its worker may be silent, in ms
--
-- then for each queue, in KEYS:
--   lives           by their last beat (ms)
--   ended           lives that have ended
--
-- Answers 1 if it has, 0 if not, and 2 if that is not known: it is silent for too long, but so are all others, as when Redis was
-- away; or there is no trace of it, as when it left, or Redis has lost its data.
--
--- @include lua/lib/clock.lua

local life, limit = ARGV[1], tonumber(ARGV[2])

local known = 2
for k = 1, #KEYS, 2 do
	local lives, ended = KEYS[k], KEYS[k + 1]
	if redis.call('ZSCORE', ended, life) then return 1 end
	local last = redis.call('ZSCORE', lives, life)
	if last then
		if now - tonumber(last) <= limit then
			known = 0
		elseif now - tonumber(redis.call('ZREVRANGE', lives, 0, 0, 'WITHSCORES')[2]) <= limit / 2 then
			return 1
		end
	end
end
return known
