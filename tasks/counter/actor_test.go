package counter

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// errDead is what somebody who died gets of every step that is left.
var errDead = errors.New("dead")

// actor is somebody who takes one step, a command of Redis or a question to the database, whenever the test says so.
type actor struct {
	name  string
	turn  chan bool // true: take the step; false: die
	ready chan bool // true: there is a step to take; false: it is over
	dead  bool      // of the actor's goroutine
	over  bool      // of the test's
	err   error     // after it is over
	saw   func(cmd redis.Cmder)
}

type actorKey struct{}

// begin starts f, up to its first step.
func begin(ctx context.Context, name string, f func(ctx context.Context) error) *actor {
	a := &actor{name: name, turn: make(chan bool), ready: make(chan bool)}
	go func() {
		a.err = f(context.WithValue(ctx, actorKey{}, a))
		a.ready <- false
	}()
	a.over = !<-a.ready
	return a
}

// step lets it take one step. It must not be over.
func (a *actor) step() {
	a.turn <- true
	a.over = !<-a.ready
}

// kill ends it before its next step.
func (a *actor) kill() {
	if a.over {
		return
	}
	a.turn <- false
	a.over = !<-a.ready
}

// yield waits for the actor's turn. Whoever is no actor is always on.
func yield(ctx context.Context) error {
	a, ok := ctx.Value(actorKey{}).(*actor)
	if !ok {
		return nil
	}
	if !a.dead {
		a.ready <- true
		a.dead = !<-a.turn
	}
	if a.dead {
		return errDead
	}
	return nil
}

// steps is the hook of a client whose users are actors. To wait for its turn costs an actor none of the time that its access
// may take.
type steps struct{}

func (steps) DialHook(next redis.DialHook) redis.DialHook { return next }

func (steps) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := yield(ctx); err != nil {
			cmd.SetErr(err)
			return err
		}
		err := next(context.WithoutCancel(ctx), cmd)
		if a, ok := ctx.Value(actorKey{}).(*actor); ok && a.saw != nil {
			a.saw(cmd)
		}
		return err
	}
}

func (steps) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := yield(ctx); err != nil {
			for _, c := range cmds {
				c.SetErr(err)
			}
			return err
		}
		return next(context.WithoutCancel(ctx), cmds)
	}
}
