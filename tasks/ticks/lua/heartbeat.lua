-- Notes that a scheduler with a schedule is alive, if the schedule is in force.
-- KEYS[1] the hash of the schedule in force
-- ARGV[1] the hash of the scheduler's schedule
-- ARGV[2] seconds for which a schedule counts as heard
-- ARGV[3] 1 when the scheduler has read a table with a revision, which comes before a schedule of a file alone
-- Answers 'in_force'; 'standby' when another schedule is; 'vacant' when none is, or the one in force was not heard lately, or is
-- that of a file alone.
local current = KEYS[1]
local schedule, silence, hasTable = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local clock = tonumber(redis.call('TIME')[1])
--- @include lua/lib/current.lua
if inForce.hash == schedule then
  redis.call('HSET', current, 'seen', clock)
  return 'in_force'
end
if not inForce.hash or clock - inForce.seen >= silence or hasTable and inForce.alone then return 'vacant' end
return 'standby'
