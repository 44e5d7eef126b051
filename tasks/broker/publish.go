package broker

// The channels of Pub/Sub. They have no hash tag: on a Redis Cluster a message reaches all nodes.
const (
	// eventsChannel tells those who wait for tasks. A message has a line a task: '+' and the id when its state or its
	// progress has changed, '.' and the id when it has ended.
	eventsChannel = "paidui:events"
	// terminateChannel tells workers. A message has a line a task, its queue, a space and its id: it was revoked, and
	// whoever runs it is to end it.
	terminateChannel = "paidui:terminate"
)

// luaEvents defines publish, which sends lines for eventsChannel. A script must not fail for it, since Redis keeps what
// the script has written before: where the user may not publish, waiters find the end by asking.
const luaEvents = `
local function publish(lines)
	if #lines > 0 then redis.pcall('PUBLISH', '` + eventsChannel + `', table.concat(lines, '\n')) end
end
`
