-- Notes that a scheduler with a schedule is alive, if the schedule is in force.
-- KEYS[1] the hash of the schedule in force
-- ARGV[1] the hash of the scheduler's schedule
-- ARGV[2] seconds for which a schedule counts as heard
-- Answers 'in_force'; 'standby' when another schedule is; 'vacant' when none is, or the one in force was not heard lately.
local current = KEYS[1]
local schedule, silence = ARGV[1], tonumber(ARGV[2])
local clock = tonumber(redis.call('TIME')[1])
local state = redis.call('HMGET', current, 'hash', 'seen')
local inForce, seen = state[1], tonumber(state[2] or '')
if inForce == schedule then
  redis.call('HSET', current, 'seen', clock)
  return 'in_force'
end
if not inForce or clock - seen >= silence then return 'vacant' end
return 'standby'
