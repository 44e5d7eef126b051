-- Asks for a run of an entry now.
-- KEYS[1] the requests
-- ARGV[1] the id of the request
-- ARGV[2] the entry
-- ARGV[3] milliseconds for which the request counts
-- ARGV[4] how many requests there may be
-- Answers 1, or 0 when there are too many.
local requests = KEYS[1]
local id, entry, span, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if redis.call('HLEN', requests) >= most then
  local all = redis.call('HGETALL', requests)
  for i = 1, #all, 2 do
    if tonumber(string.match(all[i + 1], '^%d+')) < now then redis.call('HDEL', requests, all[i]) end
  end
  if redis.call('HLEN', requests) >= most then return 0 end
end
redis.call('HSET', requests, id, string.format('%d', now + span) .. ' ' .. entry)
redis.call('PEXPIRE', requests, span + 60000)
return 1
