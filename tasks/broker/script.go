package broker

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// call is one run of a script.
type call struct {
	script *redis.Script
	keys   []string
	args   []any
	once   bool       // not repeated when its answer is lost
	cmd    *redis.Cmd // after run
}

// runner is a connection or a pipeline.
type runner interface {
	redis.Scripter
	Process(ctx context.Context, cmd redis.Cmder) error
}

// evalSha runs the script by its hash.
func (c *call) evalSha(ctx context.Context, r runner) {
	if c.once {
		c.process(ctx, r, "evalsha", c.script.Hash())
		return
	}
	c.cmd = c.script.EvalSha(ctx, r, c.keys, c.args...)
}

// eval runs the script by its text. Load has made the server know it, so that its hash serves here, too.
func (c *call) eval(ctx context.Context, r runner) {
	if !c.once {
		c.cmd = c.script.Eval(ctx, r, c.keys, c.args...)
		return
	}
	if err := c.script.Load(ctx, r).Err(); err != nil {
		c.cmd.SetErr(err)
		return
	}
	c.process(ctx, r, "evalsha", c.script.Hash())
}

func (c *call) process(ctx context.Context, r runner, name, script string) {
	args := make([]any, 0, 3+len(c.keys)+len(c.args))
	args = append(args, name, script, len(c.keys))
	for _, k := range c.keys {
		args = append(args, k)
	}
	c.cmd = redis.NewCmd(ctx, append(args, c.args...)...)
	c.cmd.SetFirstKeyPos(3)
	_ = r.Process(ctx, onceCmd{c.cmd}) // the command has the error
}

// onceCmd is a command that go-redis sends a single time. A pipeline that holds one is not repeated either.
type onceCmd struct{ *redis.Cmd }

func (onceCmd) NoRetry() bool { return true }

// run runs the scripts in one round trip, together with the commands that also adds, and gives each its cmd. Scripts
// that the server does not know (it restarted, or another one took over) are run again with their text; they have had
// no effect.
func run(ctx context.Context, rdb redis.UniversalClient, calls []*call, also ...func(redis.Pipeliner)) {
	if len(calls) == 1 && len(also) == 0 {
		c := calls[0]
		if c.evalSha(ctx, rdb); redis.HasErrorPrefix(c.cmd.Err(), "NOSCRIPT") {
			c.eval(ctx, rdb)
		}
		return
	}
	pipe := rdb.Pipeline()
	for _, add := range also {
		add(pipe)
	}
	for _, c := range calls {
		c.evalSha(ctx, pipe)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for _, c := range calls {
		if redis.HasErrorPrefix(c.cmd.Err(), "NOSCRIPT") {
			c.eval(ctx, rdb)
		}
	}
}
