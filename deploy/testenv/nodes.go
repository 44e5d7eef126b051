package testenv

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// NodeTimeout is after how long the nodes of a cluster believe that one of them is dead. A busy machine may keep a healthy
// one from answering for a good part of it.
const NodeTimeout = 2 * time.Second

// Nodes are the servers of a Redis Cluster. They are not to be used by several goroutines at once.
type Nodes struct {
	Servers []*RedisServer // at first the primaries, then a replica of each, in the same order, if there are any

	t testing.TB
}

// RedisNodes starts a cluster of so many primaries for this test, with or without a replica of each. When a primary with a
// replica dies or freezes, that takes its place after some 4 seconds.
func RedisNodes(t testing.TB, primaries int, replicas bool) *Nodes {
	t.Helper()
	total := primaries
	if replicas {
		total *= 2
	}
	n := &Nodes{Servers: make([]*RedisServer, total), t: t}
	var starts sync.WaitGroup
	errs := make([]error, total)
	for i := range total {
		dir := t.TempDir()
		starts.Go(func() {
			n.Servers[i], errs[i] = StartRedis(dir, WithArgs(
				"--cluster-enabled", "yes",
				"--cluster-node-timeout", strconv.FormatInt(NodeTimeout.Milliseconds(), 10),
				"--cluster-replica-validity-factor", "0",
				"--repl-diskless-sync-delay", "0",
				"--repl-ping-replica-period", "1", // a replica is not named to clients before the first
			))
		})
	}
	starts.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
		n.Servers[i].t = t
		t.Cleanup(n.Servers[i].Kill)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	n.join(ctx, primaries)
	n.Await(ctx)
	return n
}

// join makes the servers one cluster.
func (n *Nodes) join(ctx context.Context, primaries int) {
	n.t.Helper()
	const slots = 16384
	ids := make([]string, len(n.Servers))
	must := func(err error) {
		n.t.Helper()
		if err != nil {
			n.t.Fatalf("making a Redis Cluster: %v", err)
		}
	}
	for i, s := range n.Servers {
		node := redis.NewClient(&redis.Options{Addr: s.Addr})
		defer func() { _ = node.Close() }()
		must(node.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
		var err error
		ids[i], err = node.ClusterMyID(ctx).Result()
		must(err)
		for _, known := range n.Servers[:i] {
			host, port, _ := net.SplitHostPort(known.Addr)
			must(node.ClusterMeet(ctx, host, port).Err())
		}
		if i < primaries {
			must(node.ClusterAddSlotsRange(ctx, i*slots/primaries, (i+1)*slots/primaries-1).Err())
			continue
		}
		for err = node.ClusterReplicate(ctx, ids[i-primaries]).Err(); err != nil; {
			if ctx.Err() != nil || !strings.Contains(err.Error(), "Unknown node") { // which it may be yet
				must(err)
			}
			time.Sleep(20 * time.Millisecond)
			err = node.ClusterReplicate(ctx, ids[i-primaries]).Err()
		}
	}
}

// Await returns when all servers that run know all others, and those know where the slots are, and replicas have all that
// their primaries have.
func (n *Nodes) Await(ctx context.Context) {
	n.t.Helper()
	for _, s := range n.Servers {
		for s.running() && !n.well(ctx, s) {
			select {
			case <-ctx.Done():
				n.t.Fatalf("the Redis Cluster is not well: %v", context.Cause(ctx))
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	for _, s := range n.Servers {
		if !s.running() {
			continue
		}
		at := slices.IndexFunc(n.Servers, func(of *RedisServer) bool {
			_, port, _ := strings.Cut(of.Addr, ":")
			return of.running() && replication(n.t, s)["master_port"] == port
		})
		if at >= 0 {
			AwaitReplica(n.t, n.Servers[at], s)
		}
	}
}

// well tells whether a node is, and sees all that run so.
func (n *Nodes) well(ctx context.Context, s *RedisServer) bool {
	node := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer func() { _ = node.Close() }()
	info, err := node.ClusterInfo(ctx).Result()
	if err != nil || !strings.Contains(info, "cluster_state:ok") {
		return false
	}
	if link, ok := replication(n.t, s)["master_link_status"]; ok && link != "up" {
		return false
	}
	slots, err := node.Do(ctx, "CLUSTER", "SLOTS").Result() // as clients ask
	if err != nil {
		return false
	}
	seen := fmt.Sprint(slots)
	return !slices.ContainsFunc(n.Servers, func(s *RedisServer) bool {
		return s.running() && !strings.Contains(seen, "["+strings.Replace(s.Addr, ":", " ", 1)+" ")
	})
}

// URL names some of the nodes.
func (n *Nodes) URL() string {
	return "redis+cluster://" + n.Servers[0].Addr + "," + n.Servers[len(n.Servers)-1].Addr
}

// Freeze has the server stand still, as if its machine were cut off, until it is thawed or killed: it takes connections,
// and does not answer.
func (s *RedisServer) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (s *RedisServer) Thaw() { s.signal(syscall.SIGCONT) }

func (s *RedisServer) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.process.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}
