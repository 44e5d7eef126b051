-- Takes a request, which from then on can't be withdrawn. Any number of schedulers may take it: it has one task id.
-- KEYS[1] the hash of the schedule in force
-- KEYS[2] the requests
-- KEYS[3] the requests that were taken
-- ARGV[1] the hash of the scheduler's schedule
-- ARGV[2] the id of the request
-- Answers 'superseded', 'gone' or 'go'.
local current, requests, taken = KEYS[1], KEYS[2], KEYS[3]
local schedule, id = ARGV[1], ARGV[2]
if redis.call('HGET', current, 'hash') ~= schedule then return 'superseded' end
local request = redis.call('HGET', requests, id)
if not request then return 'gone' end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local ends = tonumber(string.match(request, '^%d+'))
if ends < now and redis.call('HEXISTS', taken, id) == 0 then
  redis.call('HDEL', requests, id)
  return 'gone'
end
redis.call('HSET', taken, id, 1)
redis.call('PEXPIRE', taken, 600000)
redis.call('PEXPIRE', requests, 600000)
return 'go'
