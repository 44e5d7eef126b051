package broker_test

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// waitingLong are tasks that have waited for long.
func waitingLong(t *testing.T, b *broker.Broker, queue string, n int) (ids []string) {
	t.Helper()
	for i := range n {
		id := queue + strconv.Itoa(i)
		brokertest.Enqueue(t, b, brokertest.Message(queue, id))
		require.NoError(t, b.Redis().HSet(t.Context(), brokertest.Key(queue, "t:"+id), "pending_since", 1).Err())
		ids = append(ids, id)
	}
	return ids
}

// TestCheckLeavesTheRevokedOfALongList: their ids are there until they are fetched, and are no faults.
func TestCheckLeavesTheRevokedOfALongList(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		b.SetShortList(2)
		ids := waitingLong(t, b, "q", 6)
		for _, id := range ids[1:4] {
			r, err := b.Revoke(t.Context(), "q", id, "no longer", false)
			require.NoError(t, err)
			require.Equal(t, broker.Revoked, r.Outcome)
		}
		require.Len(t, brokertest.PendingIDs(t, b.Redis(), "q"), 6)
		found, peak, err := b.CheckWithin(t.Context(), broker.CheckOptions{}, broker.CheckLimits{})
		require.NoError(t, err)
		require.Equal(t, 6, found.Tasks)
		require.Empty(t, found.Faults)
		require.Zero(t, peak.Suspects)

		// One that is suspect for another reason is mended there, and stays in the long list.
		require.NoError(t, b.Redis().ZAdd(t.Context(), brokertest.Key("q", "retry"), redis.Z{Score: 1, Member: ids[1]}).Err())
		require.NoError(t, b.Redis().LPush(t.Context(), brokertest.Key("q", "active"), ids[2]).Err())
		found, err = b.Check(t.Context(), broker.CheckOptions{})
		require.NoError(t, err)
		require.Equal(t, map[broker.Fault]int{broker.FaultWrong: 2}, found.Faults)
		require.Len(t, brokertest.PendingIDs(t, b.Redis(), "q"), 6)
	})
}

// TestCheckSuspectsNothingThatMoves: fetches and new tasks shift the ids of a list while it is read, and hide none.
func TestCheckSuspectsNothingThatMoves(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		waitingLong(t, b, "q", 120)
		w, moved := brokertest.Mortal(t, b, "w", 1), 0
		found, peak, err := b.CheckWithin(t.Context(), broker.CheckOptions{Step: func(int, int) error {
			if moved++; moved < 100 {
				require.NoError(t, w.Done(t.Context(), "q", brokertest.TakeTasks(t, w, 1)[0]))
				brokertest.Enqueue(t, b, brokertest.Message("q", "new"+strconv.Itoa(moved)))
			}
			return nil
		}}, broker.CheckLimits{Step: 5, Unsettled: time.Minute})
		require.NoError(t, err)
		require.Greater(t, moved, 30)
		require.Empty(t, found.Faults)
		require.Zero(t, peak.Suspects)
	})
}

// TestCheckIsBounded in what it has in memory and what it costs; the next check goes on.
func TestCheckIsBounded(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		ctx, rdb := t.Context(), b.Redis()
		for _, queue := range []string{"a", "b", "c"} {
			ids := waitingLong(t, b, queue, 30)
			require.NoError(t, rdb.LRem(ctx, brokertest.Key(queue, "pending"), 0, ids[7]).Err())
		}
		found, peak, err := b.CheckWithin(ctx, broker.CheckOptions{}, broker.CheckLimits{Step: 10, Kept: 20})
		require.NoError(t, err)
		require.Equal(t, broker.Checked{Queues: 3, Tasks: 90, Faults: map[broker.Fault]int{broker.FaultLost: 3}}, found)
		require.LessOrEqual(t, peak.Kept, 29, "one queue at a time")

		for i := range 10 {
			require.NoError(t, rdb.LPush(ctx, brokertest.Key("b", "pending"), "stray"+strconv.Itoa(i)).Err())
		}
		found, peak, err = b.CheckWithin(ctx, broker.CheckOptions{}, broker.CheckLimits{Step: 1, Suspects: 4})
		require.NoError(t, err)
		require.True(t, found.More)
		require.Equal(t, map[broker.Fault]int{broker.FaultStray: 4}, found.Faults)
		require.Equal(t, 4, peak.Suspects)

		found, _, err = b.CheckWithin(ctx, broker.CheckOptions{}, broker.CheckLimits{Visits: 20}) // less than the list is long
		require.NoError(t, err)
		require.True(t, found.More)
		require.Equal(t, map[broker.Fault]int{broker.FaultStray: 1}, found.Faults)

		found, err = b.Check(ctx, broker.CheckOptions{})
		require.NoError(t, err)
		require.False(t, found.More)
		require.Equal(t, map[broker.Fault]int{broker.FaultStray: 5}, found.Faults)
	})
}

// TestCheckCountsTasksOfNobody: not those whose lease a plain asynq worker prolongs.
func TestCheckCountsTasksOfNobody(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		ctx, rdb := t.Context(), b.Redis()
		lease := func(id string, ends time.Time) {
			require.NoError(t, rdb.ZAdd(ctx, brokertest.Key("q", "lease"), redis.Z{Score: float64(ends.Unix()), Member: id}).Err())
		}
		brokertest.Enqueue(t, b, brokertest.Numbered("q", 4)...)
		ids := brokertest.TakeTasks(t, brokertest.Mortal(t, b, "w", 4), 4)
		past, future := time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
		lease(ids[0], past) // of one that lives
		for _, id := range ids[1:] {
			require.NoError(t, rdb.HDel(ctx, brokertest.Key("q", "t:"+id), "owner", "pending_since").Err())
		}
		lease(ids[1], future)
		lease(ids[2], past)
		lease(ids[3], past)
		// Between the looks its worker, which was slow, prolongs the lease of the last one.
		require.NoError(t, rdb.SAdd(ctx, "asynq:queues", "a").Err())
		require.NoError(t, rdb.LPush(ctx, brokertest.Key("a", "pending"), "stray").Err())
		renewed := false
		found, err := b.Check(ctx, broker.CheckOptions{Step: func(_, tasks int) error {
			if tasks == len(ids) {
				lease(ids[3], future)
				renewed = true
			}
			return nil
		}})
		require.NoError(t, err)
		require.True(t, renewed)
		require.Equal(t, map[broker.Fault]int{broker.FaultUnowned: 1, broker.FaultStray: 1}, found.Faults)
	})
}

// TestCheckCopiesNoMessages, which may be large, but for the few that it must know to mend them.
func TestCheckCopiesNoMessages(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := brokertest.Open(t, server.URL(0))
	rdb := b.Redis()
	ids := waitingLong(t, b, "q", 20)
	brokertest.TakeTasks(t, brokertest.Mortal(t, b, "w", 1), 1)
	require.NoError(t, rdb.LRem(t.Context(), brokertest.Key("q", "pending"), 0, ids[9]).Err())

	monitor, err := net.Dial("tcp", server.Addr)
	require.NoError(t, err)
	defer func() { _ = monitor.Close() }()
	require.NoError(t, monitor.SetDeadline(time.Now().Add(brokertest.Patience)))
	_, err = monitor.Write([]byte("MONITOR\r\n"))
	require.NoError(t, err)
	lines := bufio.NewScanner(monitor)
	require.True(t, lines.Scan())
	require.Equal(t, "+OK", lines.Text())
	found, err := b.Check(t.Context(), broker.CheckOptions{})
	require.NoError(t, err)
	require.Equal(t, map[broker.Fault]int{broker.FaultLost: 1}, found.Faults)
	require.NoError(t, rdb.Echo(t.Context(), "the check is over").Err())
	var reads []string
	for lines.Scan() && !strings.Contains(lines.Text(), "the check is over") {
		line := strings.ToLower(lines.Text())
		if strings.Contains(line, " lua]") && strings.Contains(line, `"msg"`) && !strings.Contains(line, `"hexists"`) {
			reads = append(reads, line)
		}
	}
	require.NoError(t, lines.Err())
	require.Len(t, reads, 1, "the one that was lost, to know when it is due")
	require.Contains(t, reads[0], ids[9])
}

// TestCheckGoesOnAfterABrokenQueue: a key of another kind keeps it from that queue only, and is what it returns.
func TestCheckGoesOnAfterABrokenQueue(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		ctx, rdb := t.Context(), b.Redis()
		for _, name := range []string{"pending", "retry"} { // which are seen by the first look at lists, and at tasks
			require.NoError(t, flush(t, b))
			for _, queue := range []string{"a", "b", "c"} {
				ids := waitingLong(t, b, queue, 3)
				require.NoError(t, rdb.LRem(ctx, brokertest.Key(queue, "pending"), 0, ids[1]).Err())
			}
			require.NoError(t, rdb.Del(ctx, brokertest.Key("b", name)).Err())
			require.NoError(t, rdb.Set(ctx, brokertest.Key("b", name), "text", 0).Err())
			found, err := b.Check(ctx, broker.CheckOptions{})
			require.ErrorContains(t, err, "check queue b: ")
			require.ErrorContains(t, err, "WRONGTYPE")
			require.Equal(t, 2, found.Queues)
			require.Equal(t, map[broker.Fault]int{broker.FaultLost: 2}, found.Faults)

			stopped := fmt.Errorf("enough")
			_, _, err = b.CheckWithin(ctx, broker.CheckOptions{Step: func(int, int) error { return stopped }}, broker.CheckLimits{Step: 1})
			require.ErrorIs(t, err, stopped)
		}
	})
}
