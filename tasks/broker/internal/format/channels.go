package format

// The channels of Pub/Sub. They have no hash tag: on a Redis Cluster a message reaches all nodes.
const (
	// EventsChannel tells those who wait for tasks. A message has a line a task: '+' and the id when its state or its
	// progress has changed, '.' and the id when it has ended.
	EventsChannel = "paidui:events"
	// TerminateChannel tells workers. A message has a line a task, its queue, a space and its id: it was revoked, and
	// whoever runs it is to end it. A line of CommandMark, a space and a LifeTag has that worker look for commands; earlier
	// builds take CommandMark for a queue that they don't serve.
	TerminateChannel = "paidui:terminate"
	// AnswersChannel tells those who wait for workers' answers. A message is the id of a command that was answered.
	AnswersChannel = "paidui:answers"
)

// CommandMark is in the place of a queue, whose name it can't be.
const CommandMark = "*"
