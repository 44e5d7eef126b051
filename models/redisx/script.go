package redisx

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Script is a Lua script, which Redis knows by its hash once it has seen it.
type Script struct {
	*redis.Script
	text string
}

// NewScript is the script with the text.
func NewScript(text string) *Script { return &Script{Script: redis.NewScript(text), text: text} }

var include = regexp.MustCompile(`(?m)^--- @include (\S+)$`)

// LoadScript is the script in the file of the folder, which is embedded in the program. A line
//
//	--- @include other.lua
//
// stands for the text of another file there, which defines local functions; redisx/lease.lua is this package's lua/lease.lua.
// A file that is missing, or includes itself, is a programmer's error: LoadScript panics.
func LoadScript(folder fs.FS, file string) *Script { return NewScript(readScript(folder, file, nil)) }

func readScript(folder fs.FS, file string, within []string) string {
	for _, outer := range within {
		if outer == file {
			panic(fmt.Sprintf("the script %s includes itself", file))
		}
	}
	from, name := folder, file
	if shared, ok := strings.CutPrefix(file, "redisx/"); ok {
		from, name = scripts, "lua/"+shared
	}
	text, err := fs.ReadFile(from, name)
	if err != nil {
		panic(fmt.Sprintf("reading a script: %v", err))
	}
	return include.ReplaceAllStringFunc(string(text), func(line string) string {
		return readScript(folder, include.FindStringSubmatch(line)[1], append(within, file))
	})
}

// Call is one run of a script.
type Call struct {
	Script *Script
	Keys   []string
	Args   []any
	// Once is for a script that is not to be repeated when its answer is lost. A pipeline that holds one is not repeated
	// either.
	Once bool
	Cmd  *redis.Cmd // the answer, after RunScripts
}

// RunScripts runs the scripts in one round trip to each node that has some of their keys, together with the commands that
// also adds, and gives each call its Cmd. Scripts that a server does not know (it restarted, or another one took over)
// are run again with their text; they have had no effect.
func RunScripts(ctx context.Context, rdb redis.UniversalClient, calls []*Call, also ...func(redis.Pipeliner)) {
	sendScripts(ctx, rdb, calls, (*Script).byHash, also...)
	var unknown []*Call
	for _, c := range calls {
		if redis.HasErrorPrefix(c.Cmd.Err(), "NOSCRIPT") {
			unknown = append(unknown, c)
		}
	}
	if len(unknown) > 0 {
		sendScripts(ctx, rdb, unknown, (*Script).byText)
	}
}

func (s *Script) byHash() (command, script string) { return "evalsha", s.Hash() }
func (s *Script) byText() (command, script string) { return "eval", s.text }

func sendScripts(ctx context.Context, rdb redis.UniversalClient, calls []*Call, by func(*Script) (command, script string),
	also ...func(redis.Pipeliner)) {
	if len(calls) == 1 && len(also) == 0 {
		_ = rdb.Process(ctx, calls[0].command(ctx, by)) // the command has the error
		return
	}
	pipe := rdb.Pipeline()
	for _, add := range also {
		add(pipe)
	}
	for _, c := range calls {
		_ = pipe.Process(ctx, c.command(ctx, by)) // Exec sends it
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
}

func (c *Call) command(ctx context.Context, by func(*Script) (command, script string)) redis.Cmder {
	command, script := by(c.Script)
	args := make([]any, 0, 3+len(c.Keys)+len(c.Args))
	args = append(args, command, script, len(c.Keys))
	for _, key := range c.Keys {
		args = append(args, key)
	}
	c.Cmd = redis.NewCmd(ctx, append(args, c.Args...)...)
	c.Cmd.SetFirstKeyPos(3)
	if c.Once {
		return onceCmd{c.Cmd}
	}
	return c.Cmd
}

// onceCmd is a command that go-redis sends a single time.
type onceCmd struct{ *redis.Cmd }

func (onceCmd) NoRetry() bool { return true }
