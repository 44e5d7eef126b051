-- What claiming and skipping a tick begin with. Before the include stand: current, entry, schedule, rule, and tick, a
-- number; clock.lua. A tick that waits is settled, and may be claimed all the same.
local function refusal(waits)
  if redis.call('HGET', current, 'hash') ~= schedule then return 'superseded' end
  if redis.call('HGET', entry, 'rule') ~= rule then return 'superseded' end
  if tick > horizon then return 'early' end
  takeBack(entry)
  if tick <= tonumber(redis.call('HGET', entry, 'settled')) and not waits then return 'settled' end
  return nil
end
