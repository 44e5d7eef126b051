-- The schedule in force. Before the include stand: current. A build without a table of schedules announces the hash alone: what
-- stands beside it is then another plan's, but for the revision, which never goes back.
local inForce = {}
do
  local state = redis.call('HMGET', current, 'hash', 'seen', 'of', 'file', 'table', 'revision')
  inForce.hash, inForce.seen = state[1], tonumber(state[2] or '')
  local told = state[3] == state[1]
  inForce.file = told and state[4] or state[1]
  inForce.alone = not told or state[5] ~= 'read'
  inForce.revision = tonumber(state[6] or '') or 0
end
