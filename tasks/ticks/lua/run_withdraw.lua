-- Takes a request back.
-- KEYS[1] the requests
-- KEYS[2] the requests that were taken
-- KEYS[3] the answer
-- ARGV[1] the id of the request
-- Answers {'answered', the answer}, {'taken'} when a scheduler is at it, or {'withdrawn'}.
local requests, taken, answer = KEYS[1], KEYS[2], KEYS[3]
local id = ARGV[1]
local text = redis.call('GET', answer)
if text then return {'answered', text} end
if redis.call('HEXISTS', taken, id) == 1 then return {'taken'} end
redis.call('HDEL', requests, id)
return {'withdrawn'}
