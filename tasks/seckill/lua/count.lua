-- Counts the users of a sale.
--
-- KEYS[1] sale
-- KEYS[2] admitted    by user
-- KEYS[3] pending     by task
-- KEYS[4] load
--
-- Answers how many are admitted, how many are pending, and 1 if the sale is loaded.

local sale_key, admitted, pending = KEYS[1], KEYS[2], KEYS[3]
return {redis.call('HLEN', admitted), redis.call('HLEN', pending), redis.call('EXISTS', sale_key)}
