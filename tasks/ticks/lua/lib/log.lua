-- What became of an entry's ticks, newest first. A record is: the tick, when it was decided in milliseconds, what became of it,
-- how many ticks it stands for, and the id of the task or '-'.
local logged = 1000

local function writeLog(log, tick, what, ticks, id)
  local time = redis.call('TIME')
  local at = time[1] .. string.format('%03d', math.floor(tonumber(time[2]) / 1000))
  if id == '' then id = '-' end
  if redis.call('LPUSH', log, table.concat({tick, at, what, ticks, id}, ' ')) > logged then redis.call('RPOP', log) end
end
