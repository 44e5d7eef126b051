package broker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

func TestCheckMends(t *testing.T) { brokertest.OnSingle(t, checkMends) }

// checkMends breaks a queue at random, by hand, and has it mended: whatever was accepted runs, and nothing runs twice at once.
func checkMends(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	for round := range 8 {
		seed := rand.Uint64()
		t.Logf("round %d, seed %d", round, seed)
		require.NoError(t, flush(t, b))
		breakAndMend(t, b, rand.New(rand.NewPCG(seed, 0)))
	}
}

func flush(t *testing.T, b *broker.Broker) error {
	t.Helper()
	if cluster, ok := b.Redis().(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error { return node.FlushAll(ctx).Err() })
	}
	return b.Redis().FlushAll(t.Context()).Err()
}

// sets of a queue that are no lists.
var stateSets = []string{"scheduled", "retry", "archived", "completed"}

func breakAndMend(t *testing.T, b *broker.Broker, dice *rand.Rand) {
	t.Helper()
	ctx, rdb := t.Context(), b.Redis()
	lists := map[string]string{"pending": brokertest.Key("q", "pending"), "high": "paidui:{q}:high", "low": "paidui:{q}:low", "active": brokertest.Key("q", "active")}
	waits := []string{lists["pending"], lists["high"], lists["low"]}

	alive, dead := brokertest.Mortal(t, b, "alive", 3), brokertest.Mortal(t, b, "dead", 3)
	brokertest.Enqueue(t, b, brokertest.Numbered("q", 6)...)
	held := brokertest.TakeTasks(t, alive, 3) // by one that lives
	orphans := brokertest.TakeTasks(t, dead, 3)
	brokertest.Kill(t, b, dead)
	var waiting []string
	for i := range 40 {
		m := brokertest.Message("q", "w"+strconv.Itoa(i))
		m.Priority = []broker.Priority{broker.Normal, broker.High, broker.Low}[i%3]
		if i%10 == 9 {
			m.At = time.Now().Add(-time.Second)
		}
		brokertest.Enqueue(t, b, m)
		waiting = append(waiting, m.ID)
	}
	for i, state := range []string{"archived", "completed"} {
		id := "ended" + strconv.Itoa(i)
		brokertest.Enqueue(t, b, brokertest.Message("q", id))
		require.NoError(t, rdb.LRem(ctx, lists["pending"], 0, id).Err())
		require.NoError(t, rdb.HSet(ctx, brokertest.Key("q", "t:"+id), "state", state).Err())
		require.NoError(t, rdb.ZAdd(ctx, brokertest.Key("q", state), redis.Z{Score: float64(time.Now().Unix() + 1000), Member: id}).Err())
	}
	every := slices.Concat(held, orphans, waiting, []string{"ended0", "ended1"})

	// What a hand, a bad restore or another program may do.
	for range 30 {
		id := every[dice.IntN(len(every))]
		set := brokertest.Key("q", stateSets[dice.IntN(len(stateSets))])
		list := slices.Sorted(func(yield func(string) bool) {
			for _, l := range lists {
				if !yield(l) {
					return
				}
			}
		})[dice.IntN(len(lists))]
		switch dice.IntN(6) {
		case 0: // lost
			for _, l := range lists {
				require.NoError(t, rdb.LRem(ctx, l, 0, id).Err())
			}
			for _, s := range stateSets {
				require.NoError(t, rdb.ZRem(ctx, brokertest.Key("q", s), id).Err())
			}
			require.NoError(t, rdb.HSet(ctx, brokertest.Key("q", "t:"+id), "began", 1).Err()) // a while ago
			if slices.Contains(waiting, id) {
				require.NoError(t, rdb.HSet(ctx, brokertest.Key("q", "t:"+id), "pending_since", 1).Err())
			}
		case 1: // its lease only
			require.NoError(t, rdb.ZRem(ctx, brokertest.Key("q", "lease"), id).Err())
		case 2:
			require.NoError(t, rdb.LPush(ctx, list, id).Err())
		case 3:
			require.NoError(t, rdb.RPush(ctx, list, "stray"+strconv.Itoa(dice.IntN(5))).Err())
		case 4:
			require.NoError(t, rdb.ZAdd(ctx, set, redis.Z{Score: float64(time.Now().Unix() + 1000), Member: id}).Err())
		case 5:
			require.NoError(t, rdb.ZAdd(ctx, set, redis.Z{Score: 1, Member: "stray" + strconv.Itoa(dice.IntN(5))}).Err())
		}
	}
	states := make(map[string]string)
	for _, id := range every {
		states[id] = brokertest.Fields(t, b, id)["state"]
	}

	found, err := b.Check(ctx, broker.CheckOptions{})
	require.NoError(t, err)
	require.Equal(t, len(every), found.Tasks)
	require.NotEmpty(t, found.Faults)
	again, err := b.Check(ctx, broker.CheckOptions{})
	require.NoError(t, err)
	delete(again.Faults, broker.FaultUnowned)
	require.Empty(t, again.Faults, "all is mended")

	where := make(map[string][]string) // state by id
	for _, l := range waits {
		for _, id := range rdb.LRange(ctx, l, 0, -1).Val() {
			where[id] = append(where[id], "pending")
		}
	}
	for _, id := range rdb.LRange(ctx, lists["active"], 0, -1).Val() {
		where[id] = append(where[id], "active")
	}
	for _, s := range stateSets {
		for _, id := range rdb.ZRange(ctx, brokertest.Key("q", s), 0, -1).Val() {
			where[id] = append(where[id], s)
		}
	}
	require.Len(t, where, len(every))
	for _, id := range every {
		require.Equal(t, states[id], brokertest.Fields(t, b, id)["state"], "a check changes no state: %s", id)
		require.Equal(t, []string{states[id]}, where[id], id)
	}

	// The living worker has what it had, and the dead one's is taken over.
	for _, id := range held {
		require.NoError(t, alive.Done(ctx, "q", id), id)
	}
	other := brokertest.Mortal(t, b, "other", 64)
	require.NoError(t, other.Beat(ctx))
	for _, id := range waiting { // what is due
		if states[id] == "scheduled" {
			require.NoError(t, rdb.ZAdd(ctx, brokertest.Key("q", "scheduled"), redis.Z{Score: 1, Member: id}).Err())
		}
	}
	forwardDue(t, other)
	want := slices.Concat(orphans, waiting)
	got := brokertest.TakeTasks(t, other, len(want))
	require.ElementsMatch(t, want, got)
	for _, id := range got {
		require.NoError(t, other.Done(ctx, "q", id))
	}
	for _, l := range lists {
		require.Zero(t, rdb.LLen(ctx, l).Val(), l)
	}
	alive.Leave()
	other.Leave()
}

// forwardDue is asynq's call that moves due tasks.
func forwardDue(t *testing.T, w *brokertest.Worker) {
	t.Helper()
	now := time.Now()
	err := w.EvalSha(t.Context(), "forward", []string{brokertest.Key("q", "scheduled"), brokertest.Key("q", "pending")},
		now.Unix(), brokertest.Key("q", "t:"), now.UnixNano(), brokertest.Key("q", "g:")).Err()
	require.NoError(t, err)
}

// TestCheckHarmsNothing checks all the time, in small steps and without leaving out what is new or well, while tasks come, run,
// fail, wait, are revoked in lists that keep their ids, and end.
func TestCheckHarmsNothing(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		b.SetShortList(5)
		const count = 600
		var mu sync.Mutex
		running, runs := map[string]bool{}, map[string]int{}
		queues := map[string]int{"q": 1}
		var ended atomic.Int64
		h := func(ctx context.Context, task *asynq.Task) error {
			id := brokertest.TaskID(ctx)
			mu.Lock()
			if running[id] {
				mu.Unlock()
				t.Errorf("task %s runs twice at once", id)
				return nil
			}
			running[id] = true
			runs[id]++
			first := runs[id] == 1
			mu.Unlock()
			defer func() {
				mu.Lock()
				running[id] = false
				mu.Unlock()
			}()
			if first && id[len(id)-1] == '7' {
				return fmt.Errorf("once more")
			}
			ended.Add(1)
			return nil
		}
		cfg := brokertest.ServerConfig(queues)
		cfg.RetryDelayFunc = func(int, error, *asynq.Task) time.Duration { return 0 }
		brokertest.ServeWith(t, fetch.New(b, brokertest.FetcherConfig(queues)), cfg, h)
		ctx, stop := context.WithCancel(t.Context())
		var ids []string
		for i := range count {
			ids = append(ids, "t"+strconv.Itoa(i))
		}
		checked := make(chan struct{})
		go func() {
			defer close(checked)
			for ctx.Err() == nil {
				found, _, err := b.CheckWithin(t.Context(), broker.CheckOptions{}, broker.CheckLimits{Step: 20})
				if err != nil || len(found.Faults) > 0 {
					t.Errorf("faults %v, error %v", found.Faults, err)
				}
				faults, err := b.Mend(t.Context(), "q", ids)
				if err != nil || len(faults) > 0 {
					t.Errorf("faults of a second look %v, error %v", faults, err)
				}
			}
		}()
		revoked := 0
		var batch []*broker.Message
		for i, id := range ids {
			m := brokertest.Message("q", id)
			m.Priority = []broker.Priority{broker.Normal, broker.High, broker.Low}[i%3]
			m.Retention = time.Duration(i%2) * time.Hour
			batch = append(batch, m)
			if len(batch) < 100 {
				continue
			}
			brokertest.Enqueue(t, b, batch...)
			for _, m := range batch {
				if m.ID[len(m.ID)-1] == '3' {
					r, err := b.Revoke(t.Context(), "q", m.ID, "no longer", false)
					require.NoError(t, err)
					if r.Outcome == broker.Revoked {
						revoked++
					}
				}
			}
			batch = nil
		}
		require.Eventually(t, func() bool { return ended.Load() >= int64(count-revoked) }, brokertest.Patience, 10*time.Millisecond)
		stop()
		<-checked
		require.Positive(t, revoked)
		require.EqualValues(t, count-revoked, ended.Load())
	})
}

// TestCheckOnACluster is checkMends where queues have slots of their own.
func TestCheckOnACluster(t *testing.T) {
	t.Parallel()
	checkMends(t, testenv.RedisCluster(t))
}

// TestCheckLooksPastWhatIsNotItsOwn leaves groups of asynq's, keys of others, and delayed tasks as they are.
func TestCheckLooksPastWhatIsNotItsOwn(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		ctx, rdb := t.Context(), b.Redis()
		client := asynq.NewClientFromRedisClient(rdb)
		_, err := client.Enqueue(asynq.NewTask("t", nil), asynq.Queue("q"), asynq.TaskID("grouped"), asynq.Group("g"))
		require.NoError(t, err)
		require.NoError(t, rdb.Set(ctx, brokertest.Key("q", "t:foreign"), "text", 0).Err())
		require.NoError(t, rdb.LPush(ctx, brokertest.Key("q", "pending"), "foreign").Err())
		due := time.Now().Add(time.Hour).Truncate(time.Second)
		later := brokertest.Message("q", "later")
		later.At = due
		brokertest.Enqueue(t, b, later)
		require.NoError(t, rdb.ZRem(ctx, brokertest.Key("q", "scheduled"), "later").Err())

		found, err := b.Check(ctx, broker.CheckOptions{Due: func(*broker.StoredTask) time.Time { return due }})
		require.NoError(t, err)
		require.Equal(t, map[broker.Fault]int{broker.FaultLost: 1}, found.Faults)
		require.EqualValues(t, due.Unix(), rdb.ZScore(ctx, brokertest.Key("q", "scheduled"), "later").Val(), "not before its time")
		require.Equal(t, "aggregating", brokertest.Fields(t, b, "grouped")["state"])
		require.EqualValues(t, 1, rdb.ZCard(ctx, brokertest.Key("q", "g:g")).Val())
		require.EqualValues(t, 1, b.Faults()[broker.FaultLost])

		stopped := fmt.Errorf("enough")
		for i := range 600 {
			require.NoError(t, rdb.LPush(ctx, brokertest.Key("q", "pending"), "gone"+strconv.Itoa(i)).Err())
		}
		_, err = b.Check(ctx, broker.CheckOptions{Step: func(int, int) error { return stopped }})
		require.ErrorIs(t, err, stopped)
		found, err = b.Check(ctx, broker.CheckOptions{Pause: time.Millisecond})
		require.NoError(t, err)
		require.Equal(t, 600, found.Faults[broker.FaultStray])
		require.Equal(t, []string{"foreign"}, rdb.LRange(ctx, brokertest.Key("q", "pending"), 0, -1).Val())
	})
}
