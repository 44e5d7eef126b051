package cache

import (
	"context"
	"crypto/sha1"
	"encoding/hex"

	"github.com/redis/go-redis/v9"
)

// script is a Lua script, which Redis knows by its hash once it has seen it.
type script struct{ text, hash string }

func newScript(text string) *script {
	sum := sha1.Sum([]byte(text)) // as Redis names it
	return &script{text: text, hash: hex.EncodeToString(sum[:])}
}

func byHash(s *script) (command, text string) { return "evalsha", s.hash }
func byText(s *script) (command, text string) { return "eval", s.text }

// call is one run of a script.
type call struct {
	script *script
	keys   []string
	args   []any
	once   bool       // not repeated when its answer is lost
	cmd    *redis.Cmd // after run
}

// answered reports whether Redis answered, be it with an error.
func (c call) answered() bool { return c.cmd != nil && !away(c.cmd.Err()) }

// run runs the scripts on the primary, in one round trip to each node that has some of the keys. It fails when Redis
// does; what a script answered otherwise, an error included, is in its cmd.
func (s *Store) run(ctx context.Context, calls []call) error {
	return s.onPrimary(ctx, func(ctx context.Context, rdb redis.UniversalClient) error {
		send(ctx, rdb, calls, byHash)
		var unknown []call
		var at []int
		for i, c := range calls {
			if redis.HasErrorPrefix(c.cmd.Err(), "NOSCRIPT") { // it has had no effect
				unknown, at = append(unknown, c), append(at, i)
			}
		}
		if len(unknown) > 0 {
			send(ctx, rdb, unknown, byText)
			for i, c := range unknown {
				calls[at[i]] = c
			}
		}
		for _, c := range calls {
			if !c.answered() {
				return c.cmd.Err()
			}
		}
		return nil
	})
}

// send runs the scripts as they are named: by their hashes, or by their texts.
func send(ctx context.Context, rdb redis.UniversalClient, calls []call, name func(*script) (command, script string)) {
	if len(calls) == 1 {
		_ = rdb.Process(ctx, calls[0].command(ctx, name)) // the command has the error
		return
	}
	pipe := rdb.Pipeline()
	for i := range calls {
		_ = pipe.Process(ctx, calls[i].command(ctx, name)) // it is sent by Exec
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
}

func (c *call) command(ctx context.Context, name func(*script) (command, script string)) redis.Cmder {
	command, script := name(c.script)
	args := make([]any, 0, 3+len(c.keys)+len(c.args))
	args = append(args, command, script, len(c.keys))
	for _, key := range c.keys {
		args = append(args, key)
	}
	c.cmd = redis.NewCmd(ctx, append(args, c.args...)...)
	c.cmd.SetFirstKeyPos(3)
	if c.once {
		return onceCmd{c.cmd}
	}
	return c.cmd
}

// onceCmd is a command that go-redis sends a single time. A pipeline that holds one is not repeated either.
type onceCmd struct{ *redis.Cmd }

func (onceCmd) NoRetry() bool { return true }
