-- Takes goods off the live ones, unless somebody has loaded the sale again, which gives it a new score.
--
-- KEYS[1] live
-- ARGV[1] goods
-- ARGV[2] score    as it was seen
--
-- Answers 1, or 0 when the goods stay.

local live = KEYS[1]
local goods, score = ARGV[1], tonumber(ARGV[2])
if tonumber(redis.call('ZSCORE', live, goods) or '') ~= score then return 0 end
return redis.call('ZREM', live, goods)
