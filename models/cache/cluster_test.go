package cache

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// crew is a cluster with the users 1 to crewSize in its cache, some of them on each node.
type crew struct {
	nodes *testenv.Nodes
	table *table
	ids   []int64
	name  string // of all of them
}

const crewSize = 60

func newCrew(t *testing.T) *crew {
	t.Helper()
	c := &crew{nodes: testenv.RedisNodes(t, 3, true), table: newTable(map[int64]user{})}
	for id := range int64(crewSize) {
		c.ids = append(c.ids, id+1)
	}
	c.rename("first")
	return c
}

// rename changes the database.
func (c *crew) rename(name string) {
	c.name = name
	for _, id := range c.ids {
		c.table.set(id, name)
	}
}

// client is a client of the cluster as a program has it.
func (c *crew) client(t *testing.T, readOnly bool, more ...func(*redis.ClusterOptions)) *redis.ClusterClient {
	t.Helper()
	opt := &redis.ClusterOptions{
		Addrs:                 []string{c.nodes.Servers[5].Addr, c.nodes.Servers[0].Addr},
		ReadOnly:              readOnly,
		ContextTimeoutEnabled: true,
		MaxRetries:            1,
		DialerRetries:         1,
		DialTimeout:           2 * time.Second,
	}
	for _, change := range more {
		change(opt)
	}
	rdb := redis.NewClusterClient(opt)
	t.Cleanup(func() { _ = rdb.Close() })
	require.NoError(t, rdb.Ping(t.Context()).Err())
	return rdb
}

// process opens the cache as another process has it.
func (c *crew) process(t *testing.T, rdb redis.UniversalClient, near int) *Cache[int64, user] {
	t.Helper()
	s := open(t, rdb, func(o *StoreOptions) {
		o.Replica, o.Near, o.NearExpiry, o.Timeout = c.client(t, true), near, time.Hour, 0
	})
	t.Cleanup(s.Close)
	return users(s, c.table)
}

// primary is which has the key, as the process knows.
func (c *crew) primary(t *testing.T, process *Cache[int64, user], key string) *testenv.RedisServer {
	t.Helper()
	node, err := process.store.Redis().(*redis.ClusterClient).MasterForKey(t.Context(), key)
	require.NoError(t, err)
	at := slices.IndexFunc(c.nodes.Servers, func(s *testenv.RedisServer) bool { return s.Addr == node.Options().Addr })
	require.GreaterOrEqual(t, at, 0)
	return c.nodes.Servers[at]
}

// parted are the ids whose values that primary has, and the others.
func (c *crew) parted(t *testing.T, by *Cache[int64, user], primary *testenv.RedisServer) (here, elsewhere []int64) {
	t.Helper()
	for _, id := range c.ids {
		if c.primary(t, by, by.cfg.Key(id)) == primary {
			here = append(here, id)
		} else {
			elsewhere = append(elsewhere, id)
		}
	}
	require.NotEmpty(t, here)
	require.NotEmpty(t, elsewhere)
	return here, elsewhere
}

// requireAll reads all users, together and one by one.
func (c *crew) requireAll(t *testing.T, from *Cache[int64, user], want string) {
	t.Helper()
	all, err := from.GetMany(t.Context(), c.ids)
	require.NoError(t, err)
	require.Len(t, all, len(c.ids))
	for _, id := range c.ids {
		require.Equal(t, want, all[id].Name, id)
		one, err := from.Get(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, want, one.Name, id)
	}
}

// requireAny reads all users, who may have one of the names: a replica may be behind.
func (c *crew) requireAny(t *testing.T, from *Cache[int64, user], names ...string) {
	t.Helper()
	all, err := from.GetMany(t.Context(), c.ids)
	require.NoError(t, err)
	for _, id := range c.ids {
		require.Contains(t, names, all[id].Name)
	}
}

// trips counts what a client sends.
type trips struct{ commands, pipelines atomic.Int64 }

func (n *trips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (n *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		n.commands.Add(1)
		return next(ctx, cmd)
	}
}

func (n *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		n.pipelines.Add(1)
		return next(ctx, cmds)
	}
}

// requireOneTripEach reads all users in one round trip to each primary.
func (c *crew) requireOneTripEach(t *testing.T) {
	t.Helper()
	var sent trips
	rdb := c.client(t, false, func(o *redis.ClusterOptions) {
		o.NewClient = func(opt *redis.Options) *redis.Client {
			node := redis.NewClient(opt)
			node.AddHook(&sent)
			return node
		}
	})
	reader := c.process(t, rdb, 0)
	c.requireAll(t, reader, c.name)
	testenv.Eventually(t, func() bool {
		sent.commands.Store(0)
		sent.pipelines.Store(0)
		_, err := reader.GetMany(t.Context(), c.ids)
		require.NoError(t, err)
		return sent.pipelines.Load() == 3 && sent.commands.Load() == 0
	}, "with nothing else, such as new connections")
}

// requireHeard changes all users, and awaits that the keeper, who keeps them for long, hears of each.
func (c *crew) requireHeard(t *testing.T, keeper, writer *Cache[int64, user], name string) {
	t.Helper()
	testenv.Eventually(t, keeper.store.subscription.stands.Load, "it listens")
	c.requireAll(t, keeper, c.name)
	c.rename(name)
	testenv.Eventually(t, func() bool {
		return writer.store.Apply(t.Context(), name, writer.Changes(c.ids...)) == nil
	}, "it is applied")

	for _, id := range c.ids {
		testenv.Eventually(t, func() bool {
			got, err := keeper.Get(t.Context(), id)
			return err == nil && got.Name == name
		}, "the message comes")

	}
}

// run has the store listen until the test ends.
func run(t *testing.T, s *Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Run(ctx) // nil, always
	}()
	t.Cleanup(func() { cancel(); <-ended })
}

var getScript = redis.NewScript(`return redis.call('GET', KEYS[1])`)

func TestOnAClusterWhosePrimariesFail(t *testing.T) {
	t.Parallel()
	crew := newCrew(t)
	writer := crew.process(t, crew.client(t, false), 0)
	crew.requireAll(t, writer, "first")
	crew.requireOneTripEach(t)

	keeper := crew.process(t, crew.client(t, false), 1000)
	run(t, keeper.store)
	crew.requireHeard(t, keeper, writer, "told")

	tells := crew.primary(t, keeper, channel) // the keeper hears from; that a frozen one has nothing to say takes long
	other := crew.nodes.Servers[0]
	if other == tells {
		other = crew.nodes.Servers[1]
	}
	for i, fault := range []struct {
		victim *testenv.RedisServer
		end    func(*testenv.RedisServer)
	}{{tells, (*testenv.RedisServer).Kill}, {other, (*testenv.RedisServer).Freeze}} {
		reader := crew.process(t, crew.client(t, false), 0)
		now, next := crew.name, fmt.Sprint("after ", i)
		crew.requireAll(t, reader, now)
		gone, others := crew.parted(t, reader, fault.victim)
		loads := crew.table.asked.Load()
		crew.nodes.Await(t.Context())
		fault.end(fault.victim)
		began := time.Now()
		// Until the cluster sees what has happened; then it refuses everything until a replica has taken the place.
		early := func() bool { return time.Since(began) < testenv.NodeTimeout*3/4 }

		if err := reader.store.Apply(t.Context(), "others", reader.Changes(others[0])); early() {
			require.NoError(t, err, "other primaries are well")
			loads++ // by who reads it next
		}
		var text string
		err := reader.store.Read(t.Context(), func(ctx context.Context, rdb redis.UniversalClient) (err error) {
			text, err = getScript.Run(ctx, rdb, []string{reader.cfg.Key(gone[0])}).Text()
			return err
		})
		if early() {
			require.NoError(t, err, "a script reads from the replica")
			require.Contains(t, text, now)
		}
		slow := 0
		for range 5 {
			for _, id := range crew.ids {
				asked := time.Now()
				got, err := reader.Get(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, now, got.Name)
				if time.Since(asked) >= accessTimeout/2 {
					slow++
				}
			}
		}
		crew.requireAll(t, reader, now)
		if early() {
			require.Equal(t, loads, crew.table.asked.Load(), "the replica has what the primary had")
		}
		require.Less(t, slow, len(gone), "few wait for a server that does not answer")

		crew.rename(next)
		require.Eventually(t, func() bool {
			return writer.store.Apply(t.Context(), next, writer.Changes(crew.ids...)) == nil
		}, time.Minute, 10*time.Millisecond, "a replica takes its place")
		testenv.Eventually(t, func() bool {
			loads, degraded := crew.table.asked.Load(), testutil.ToFloat64(reader.counts.degraded)
			crew.requireAny(t, reader, now, next)
			return crew.table.asked.Load() == loads && testutil.ToFloat64(reader.counts.degraded) == degraded
		}, "all comes from Redis again")

		crew.requireAll(t, reader, next)
		testenv.Eventually(t, func() bool {
			got, err := keeper.GetMany(t.Context(), crew.ids)
			return err == nil && !slices.ContainsFunc(crew.ids, func(id int64) bool { return got[id].Name != next })
		}, "what the keeper did not hear of counts as changed")

	}
	crew.requireHeard(t, keeper, writer, "told again")
}
