-- publish tells those who wait for tasks. A line is '+' and the id of a task whose state or progress has changed, or '.' and
-- the id of one that has ended. A script must not fail for it, since Redis keeps what the script has written before: where
-- the user may not publish, waiters find the end by asking.
local function publish(lines)
	if #lines > 0 then redis.pcall('PUBLISH', 'paidui:events', table.concat(lines, '\n')) end
end
