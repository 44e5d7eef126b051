package broker

import (
	"slices"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// Rights knows what Redis refuses the broker's user. Until it is asked once, the broker takes it that nothing is refused.
func (b *Broker) Rights() *redisx.Rights { return b.rights }

// needs are what the broker does with its Redis.
func needs() []redisx.Need {
	own := redisx.ProbeKey("paidui:")
	commands := redisx.KeyCommands(own)
	commands = append(commands, redisx.Touch(redisx.ProbeKey("asynq:"))...)
	commands = append(commands, redisx.Touch("asynq:queues")...)
	return []redisx.Need{
		{Cost: "tasks are neither made nor run", Vital: true, Commands: commands},
		tellsNeed(),
		{
			Cost:     "idle workers find a task up to a second later",
			Commands: [][]any{{"BLPOP", own, "0.01"}},
		},
		{
			Cost:    "a running task that is revoked with terminate ends up to 5 s later, and a command to a worker takes up to 1.5 s",
			Publish: []string{format.TerminateChannel}, Listen: []string{format.TerminateChannel},
		},
		{Cost: "asynq's own tools can't cancel a running task", Listen: []string{asynqCancelChannel}},
	}
}

// asynqCancelChannel is asynq's.
const asynqCancelChannel = "asynq:cancel"

// tellsNeed is the telling of events.
func tellsNeed() redisx.Need {
	return redisx.Need{
		Cost:    "whoever waits for a task learns its end up to a second later, and each wait asks redis once a second",
		Publish: []string{format.EventsChannel}, Listen: []string{format.EventsChannel},
	}
}

// muted tells that events can't be published with this process's user, and so perhaps not by others.
func (b *Broker) muted() bool {
	return slices.ContainsFunc(b.rights.Known(), func(l redisx.Lack) bool { return l.Cost == tellsNeed().Cost })
}
