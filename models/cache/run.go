package cache

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

// run runs the scripts on the primary, in one round trip to each node that has some of the keys. It fails when Redis
// does; what a script answered otherwise, an error included, is in its cmd.
func (s *Store) run(ctx context.Context, calls []call) error {
	return s.onPrimary(ctx, func(ctx context.Context, rdb redis.UniversalClient) error {
		pipeline(ctx, rdb, calls, (*redis.Script).EvalSha)
		var unknown []call
		var at []int
		for i, c := range calls {
			if redis.HasErrorPrefix(c.cmd.Err(), "NOSCRIPT") { // it has had no effect
				unknown, at = append(unknown, c), append(at, i)
			}
		}
		if len(unknown) > 0 {
			pipeline(ctx, rdb, unknown, (*redis.Script).Eval)
			for i, c := range unknown {
				calls[at[i]] = c
			}
		}
		for _, c := range calls {
			if err := c.cmd.Err(); away(err) {
				return err
			}
		}
		return nil
	})
}

// pipeline sends the calls together.
func pipeline(ctx context.Context, rdb redis.UniversalClient, calls []call,
	send func(*redis.Script, context.Context, redis.Scripter, []string, ...any) *redis.Cmd,
) {
	if len(calls) == 1 {
		calls[0].cmd = send(calls[0].script, ctx, rdb, calls[0].keys, calls[0].args...)
		return
	}
	pipe := rdb.Pipeline()
	for i := range calls {
		calls[i].cmd = send(calls[i].script, ctx, pipe, calls[i].keys, calls[i].args...)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
}
