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
	cmd    *redis.Cmd // after run
}

// run runs the scripts in one round trip, together with the commands that also adds, and gives each its cmd. Scripts
// that the server does not know (it restarted, or another one took over) are run again with their text; they have had
// no effect.
func run(ctx context.Context, rdb redis.UniversalClient, calls []*call, also ...func(redis.Pipeliner)) {
	if len(calls) == 1 && len(also) == 0 {
		c := calls[0]
		c.cmd = c.script.Run(ctx, rdb, c.keys, c.args...)
		return
	}
	pipe := rdb.Pipeline()
	for _, add := range also {
		add(pipe)
	}
	for _, c := range calls {
		c.cmd = c.script.EvalSha(ctx, pipe, c.keys, c.args...)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for _, c := range calls {
		if redis.HasErrorPrefix(c.cmd.Err(), "NOSCRIPT") {
			c.cmd = c.script.Eval(ctx, rdb, c.keys, c.args...)
		}
	}
}
