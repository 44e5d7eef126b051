package following

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/paidui/paidui/models/redisx"
	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"
)

// actor runs a function step by step: it stops before each command to Redis and each query that the function makes with
// its context, until it is told to go on. One actor runs at a time.
type actor struct {
	name    string
	goOn    chan bool // false: the process has crashed, nothing that it does reaches anybody
	stopped chan bool // true: the function has returned
	crashed bool
	err     error
}

type actorKey struct{}

// start makes an actor, which stops before its first step.
func start(ctx context.Context, name string, f func(ctx context.Context) error) *actor {
	a := &actor{name: name, goOn: make(chan bool), stopped: make(chan bool)}
	go func() {
		a.wait()
		a.err = f(context.WithValue(ctx, actorKey{}, a))
		a.stopped <- true
	}()
	return a
}

func (a *actor) wait() {
	if !<-a.goOn {
		a.crashed = true
	}
}

// step lets the actor take one step, and tells whether its function has returned.
func (a *actor) step() (ended bool) {
	a.goOn <- true
	return <-a.stopped
}

// crash ends the actor where it is.
func (a *actor) crash() {
	a.goOn <- false
	<-a.stopped
}

// failure is the error that the actor ended with, unless it crashed or others kept it from its work.
func (a *actor) failure() error {
	if a.crashed || a.err == nil || errors.Is(a.err, errContended) {
		return nil
	}
	return fmt.Errorf("%s: %w", a.name, a.err)
}

// crashError is what an actor gets that has crashed. It looks like an answer of Redis, so that nobody blames that.
type crashError struct{}

func (crashError) Error() string { return "crashed" }
func (crashError) RedisError()   {}

// pass stops the actor of ctx, if there is one.
func pass(ctx context.Context) error {
	a, ok := ctx.Value(actorKey{}).(*actor)
	if !ok {
		return nil
	}
	if !a.crashed {
		a.stopped <- false
		a.wait()
	}
	if a.crashed {
		return crashError{}
	}
	return nil
}

// stepwise is a hook of Redis. To wait for its turn costs an actor none of the time that its access may take.
type stepwise struct{}

func (stepwise) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (stepwise) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := pass(ctx); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(context.WithoutCancel(ctx), cmd)
	}
}

func (stepwise) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := pass(ctx); err != nil {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
			return err
		}
		return next(context.WithoutCancel(ctx), cmds)
	}
}

// stepThrough has all reads of the database and all commands stop. Redis knows the scripts from the beginning, so that to
// run one is always one step.
func (w *world) stepThrough(ctx context.Context) error {
	for _, script := range []*redisx.Script{
		pageScript, acquireScript, putScript, fillScript, releaseScript, takeOverScript, applyScript, peekScript, dropScript,
	} {
		if err := script.Load(ctx, w.rdb).Err(); err != nil {
			return err
		}
	}
	w.rdb.AddHook(stepwise{})
	w.sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return w.db.Callback().Query().Before("gorm:query").Register("step", func(tx *gorm.DB) {
		if err := pass(tx.Statement.Context); err != nil {
			_ = tx.AddError(err)
		}
		tx.Statement.Context = context.WithoutCancel(tx.Statement.Context)
	})
}
