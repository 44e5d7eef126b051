package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// nodes are the primaries of a cluster, each with a breaker of its own: while one does not answer, the others can still be
// read, and a read of several does not wait for it each time. It is a hook of the client, and ignores commands that were not
// sent by its server. It is safe for concurrent use.
type nodes struct {
	cluster *redis.ClusterClient
	server  *server
	known   sync.Map // *node by address
	finding atomic.Bool
}

type node struct {
	addr    string
	breaker breaker
}

// newNodes watches what the server sends through its client, a cluster's.
func newNodes(s *server, cluster *redis.ClusterClient) *nodes {
	n := &nodes{cluster: cluster, server: s}
	cluster.AddHook(n)
	return n
}

// nodeError is what a primary of a cluster did, or that it is left alone.
type nodeError struct {
	addr  string
	cause error
}

func (e *nodeError) Error() string { return e.addr + ": " + e.cause.Error() }
func (e *nodeError) Unwrap() error { return e.cause }

// sender is the key of a context's value: the server that sends, and its caller's context.
type sender struct{}

type sending struct {
	from   *nodes
	caller context.Context
}

// mark has commands with the context pass the breakers. caller is the context that ctx was made of.
func (n *nodes) mark(ctx, caller context.Context) context.Context {
	return context.WithValue(ctx, sender{}, sending{n, caller})
}

// of is the primary that a command is for; nil when that is not known.
func (n *nodes) of(ctx context.Context, cmd redis.Cmder) *node {
	key, ok := keyOf(cmd)
	if !ok {
		return nil
	}
	primary, err := n.cluster.MasterForKey(ctx, key)
	if err != nil {
		return nil
	}
	addr := primary.Options().Addr
	found, ok := n.known.Load(addr)
	if !ok {
		found, _ = n.known.LoadOrStore(addr, &node{addr: addr})
	}
	return found.(*node)
}

// keyOf is a command's first key.
func keyOf(cmd redis.Cmder) (key string, ok bool) {
	at, args := 1, cmd.Args()
	switch cmd.Name() {
	case "eval", "evalsha":
		at = 3
	}
	if at < len(args) {
		key, ok = args[at].(string)
	}
	return key, ok
}

// resting reports whether one of them is left alone. One that is a primary no longer will not be asked again.
func (n *nodes) resting() (yes bool) {
	now := time.Now()
	n.known.Range(func(_, found any) bool {
		yes = found.(*node).breaker.resting(now)
		return !yes
	})
	return yes
}

// refusal is why a node is not asked; nil: it may be.
func (who *node) refusal(ctx context.Context, now time.Time) error {
	switch {
	case ctx.Err() != nil: // for what was asked before
		return &nodeError{who.addr, context.Cause(ctx)}
	case !who.breaker.allow(now):
		return &nodeError{who.addr, errBreakerOpen}
	}
	return nil
}

// answered notes what became of what a node was asked for.
func (n *nodes) answered(ctx, caller context.Context, who *node, err error) {
	switch {
	case !unreachable(err):
		if who.breaker.answered() {
			n.server.log.InfoContext(ctx, "the cache answers again", "server", n.server.role, "node", who.addr)
		}
	case caller.Err() != nil: // which says nothing about the node
	default:
		n.server.failed(&who.breaker, &nodeError{who.addr, err})
		n.find()
	}
}

// findTimeout is short of the time between two probes of a node.
const findTimeout = openFor / 2

// find asks the cluster, beside its caller, who has which slots now: another may have the place of a node that does not
// answer. The client does so by itself, but seldom, and is ready to wait for long for a node that is frozen.
func (n *nodes) find() {
	if !n.finding.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer n.finding.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), findTimeout)
		defer cancel()
		none := func(context.Context, *redis.Client) error { return nil }
		_ = n.cluster.ForEachMaster(ctx, none) // which asks first; the next probe that fails does so again
	}()
}

// DialHook implements redis.Hook.
func (n *nodes) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (n *nodes) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		s, ok := ctx.Value(sender{}).(sending)
		if !ok || s.from != n {
			return next(ctx, cmd)
		}
		who := n.of(ctx, cmd)
		if who == nil {
			return next(ctx, cmd)
		}
		err := who.refusal(ctx, time.Now())
		if err != nil {
			return err
		}
		err = next(ctx, cmd)
		n.answered(ctx, s.caller, who, err)
		if unreachable(err) {
			err = &nodeError{who.addr, err}
		}
		return err
	}
}

// ProcessPipelineHook implements redis.Hook: what is for nodes that are left alone stays here, and the rest goes on.
func (n *nodes) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		s, ok := ctx.Value(sender{}).(sending)
		if !ok || s.from != n {
			return next(ctx, cmds)
		}
		whose := make([]*node, len(cmds))    // nil: of a node that is not known, or is not asked
		refused := make(map[*node]error, 4)  // why it is not; nil: it is
		outcomes := make(map[*node]error, 4) // of those that are
		open := make([]redis.Cmder, 0, len(cmds))
		now := time.Now()
		for i, cmd := range cmds {
			who := n.of(ctx, cmd)
			if who != nil {
				why, known := refused[who]
				if !known {
					why = who.refusal(ctx, now)
					refused[who] = why
				}
				if why != nil {
					cmd.SetErr(why)
					continue
				}
			}
			whose[i] = who
			open = append(open, cmd)
		}
		if len(open) > 0 {
			_ = next(ctx, open) // each command has its own error
		}
		var first error
		for i, cmd := range cmds {
			err := cmd.Err()
			if who := whose[i]; who != nil {
				switch {
				case unreachable(err):
					outcomes[who] = err
					err = &nodeError{who.addr, err}
					cmd.SetErr(err)
				case outcomes[who] == nil:
					outcomes[who] = nil // it has answered
				}
			}
			if first == nil {
				first = err
			}
		}
		for who, err := range outcomes {
			n.answered(ctx, s.caller, who, err)
		}
		return first
	}
}
