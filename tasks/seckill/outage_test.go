package seckill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

// noRetries makes orders without a retry to spend, so that a single attempt which takes an outage for a verdict ends one.
type noRetries struct{ client *tasks.Client }

func (q noRetries) enqueueIf(ctx context.Context, gate broker.Gate, taskID string, args OrderArgs) (any, error) {
	_, _, reply, err := Order.EnqueueIf(ctx, q.client, gate, args, tasks.ID(taskID), tasks.MaxRetries(0))
	if errors.Is(err, tasks.ErrDuplicate) {
		err = nil
	}
	return reply, err
}

func (q noRetries) enqueue(ctx context.Context, taskID string, args OrderArgs) error {
	_, err := Order.Enqueue(ctx, q.client, args, tasks.ID(taskID), tasks.MaxRetries(0))
	if errors.Is(err, tasks.ErrDuplicate) {
		return nil
	}
	return err
}

func (q noRetries) info(ctx context.Context, taskID string) (*tasks.Info, error) {
	return q.client.Info(ctx, taskID)
}

// ownDatabase starts a server that the test may end, with one database.
func ownDatabase(t *testing.T) (server *testenv.MariaDB, url string) {
	server, err := testenv.StartMariaDB()
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	url, err = server.Database(t.Context(), "shop")
	require.NoError(t, err)
	return server, url
}

// outageStack serves orders that have no retries; limit is that of a batch.
func outageStack(t *testing.T, url string, limit time.Duration) *stack {
	s := newStack(t, taskstest.Broker(t, testenv.RedisURL(t)), url)
	s.sales = newSales(s.db, newLedger(s.rdb), noRetries{s.client})
	s.mux = tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), StoreAway: models.IsAway})
	Bind(s.mux, s.db, s.rdb, s.client, func(w *worker) { w.batcher.limit = limit })
	s.serve(t)
	return s
}

func (s *stack) enterAll(t *testing.T, goodsID int64, from, to int64) []string {
	var tickets []string
	for user := from; user < to; user++ {
		ticket, err := s.sales.Enter(t.Context(), user, goodsID)
		require.NoError(t, err, "user %d", user)
		tickets = append(tickets, ticket.TaskID)
	}
	return tickets
}

// awaitAttempts waits until each task has had so many attempts that came to nothing.
func (s *stack) awaitAttempts(t *testing.T, tickets []string, least int) {
	for _, id := range tickets {
		require.Eventually(t, func() bool {
			info, err := s.client.Info(t.Context(), id)
			return err == nil && len(info.Attempts) >= least
		}, time.Minute, 20*time.Millisecond, id)
		info, err := s.client.Info(t.Context(), id)
		require.NoError(t, err)
		require.False(t, info.State.Final(), "%s: %s: %s", id, info.State, info.Error)
		require.Zero(t, info.Retries)
	}
}

// awaitOrders waits until each ticket has its order, which must be its last word and the only one that it ever had.
func (s *stack) awaitOrders(t *testing.T, goodsID int64, tickets []string) {
	for _, id := range tickets {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		info, err := s.client.Wait(ctx, id)
		cancel()
		require.NoError(t, err, id)
		require.Equal(t, tasks.StateSuccess, info.State, "%s: %s", id, info.Error)
		var result OrderResult
		require.NoError(t, json.Unmarshal(info.Result, &result))
		require.True(t, result.OK, "%s: %s", id, result.Reason)
		got, err := s.sales.Outcome(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, CodeOrdered, got.Code)
		require.Equal(t, id, got.Order.TaskID)
	}
	require.Len(t, ordersOf(t, s.db, goodsID), len(tickets))
	require.Zero(t, stockOf(t, s.db, goodsID))
	require.Eventually(t, func() bool {
		n, err := s.sales.ledger.count(t.Context(), goodsID)
		return err == nil && n.pending == 0
	}, time.Minute, 20*time.Millisecond)
	s.requireTrue(t, goodsID)
}

func TestAcceptedPlacesOutliveTheDatabase(t *testing.T) {
	t.Parallel()
	server, url := ownDatabase(t)
	s := outageStack(t, url, 0)
	goodsID := openGoods(t, s.db, 60)
	tickets := s.enterAll(t, goodsID, 1, 21)
	server.Halt(syscall.SIGKILL)
	tickets = append(tickets, s.enterAll(t, goodsID, 21, 61)...)
	s.awaitAttempts(t, tickets[40:], 3)
	_, err := s.sales.Enter(t.Context(), 100, goodsID)
	require.ErrorIs(t, err, ErrSoldOut, "no piece goes to another")
	got, err := s.sales.Outcome(t.Context(), tickets[59])
	require.NoError(t, err)
	require.Contains(t, []int{CodeQueued, CodeRetrying}, got.Code)

	require.NoError(t, server.StartAgain())
	s.awaitOrders(t, goodsID, tickets)
}

// TestSaleWithADatabaseThatCrashes kills the server in the middle of the sale, several times.
func TestSaleWithADatabaseThatCrashes(t *testing.T) {
	t.Parallel()
	server, url := ownDatabase(t)
	s := outageStack(t, url, 0)
	const buyers, crashes = 400, 3
	goodsID := openGoods(t, s.db, buyers)
	require.NoError(t, s.sales.loader.load(t.Context(), goodsID))
	var mu sync.Mutex
	var tickets []string
	var entering sync.WaitGroup
	entering.Go(func() {
		for user := int64(1); user <= buyers; user++ {
			ticket, err := s.sales.Enter(t.Context(), user, goodsID)
			if err != nil {
				t.Errorf("user %d: %v", user, err)
				return
			}
			mu.Lock()
			tickets = append(tickets, ticket.TaskID)
			mu.Unlock()
		}
	})
	entered := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(tickets)
	}
	for crash := 1; crash <= crashes; crash++ {
		require.Eventually(t, func() bool { return t.Failed() || entered() >= crash*buyers/(crashes+1) }, time.Minute, time.Millisecond)
		server.Halt(syscall.SIGKILL)
		mu.Lock()
		last := tickets[len(tickets)-1]
		mu.Unlock()
		require.Eventually(t, func() bool {
			info, err := s.client.Info(t.Context(), last)
			return err == nil && (len(info.Attempts) > 0 || info.State.Final())
		}, time.Minute, time.Millisecond)
		require.NoError(t, server.StartAgain())
	}
	entering.Wait()
	s.awaitOrders(t, goodsID, tickets)
}

func TestAcceptedPlacesOutliveASilentDatabase(t *testing.T) {
	t.Parallel()
	server, url := ownDatabase(t)
	s := outageStack(t, url, 500*time.Millisecond)
	goodsID := openGoods(t, s.db, 30)
	tickets := s.enterAll(t, goodsID, 1, 11)
	server.Freeze()
	tickets = append(tickets, s.enterAll(t, goodsID, 11, 31)...)
	s.awaitAttempts(t, tickets[20:], 1)
	server.Thaw()
	s.awaitOrders(t, goodsID, tickets)
}

// TestACommitWhoseAnswerIsLost has the orders committed without the worker learning of it, and the database away then.
func TestACommitWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	server, direct := ownDatabase(t)
	p := testenv.NewProxy(t, server.Addr())
	s := outageStack(t, strings.Replace(direct, server.Addr(), p.Addr, 1), 0)
	goodsID := openGoods(t, s.db, 10)
	require.NoError(t, s.sales.loader.load(t.Context(), goodsID))
	p.LoseAnswer("COMMIT")
	tickets := s.enterAll(t, goodsID, 1, 11)
	s.awaitAttempts(t, tickets, 2)

	committed := ordersOf(t, openDB(t, direct), goodsID)
	require.NotEmpty(t, committed, "that of the commit")
	for _, o := range committed {
		_, err := s.sales.orderOrRefusal(t.Context(), o.TaskID, ReasonFailed)
		require.True(t, models.IsAway(err), "no final answer: %v", err)
		err = newWorker(s.sales.ledger, s.sales.store).abandon(t.Context(), o.TaskID, OrderArgs{UserID: o.UserID, GoodsID: goodsID})
		require.True(t, models.IsAway(err), "nobody gives up what the database may have: %v", err)
	}
	in, err := s.rdb.HLen(t.Context(), admittedKey(goodsID)).Result()
	require.NoError(t, err)
	require.Equal(t, int64(10), in)

	p.Away(false)
	s.awaitOrders(t, goodsID, tickets)
}

// TestNobodyGivesUpAnOrderUnderWay has a transaction under way while its order is given up, reconciled and asked for: its
// commit may be in the hands of the server, although the attempt that sent it has failed.
func TestNobodyGivesUpAnOrderUnderWay(t *testing.T) {
	t.Parallel()
	for name, giveUp := range map[string]func(ctx context.Context, s *stack, q *fakeQueue, goodsID int64, taskID string) error{
		"the failure": func(ctx context.Context, s *stack, _ *fakeQueue, goodsID int64, taskID string) error {
			w := newWorker(s.sales.ledger, s.sales.store)
			for {
				if err := w.abandon(ctx, taskID, OrderArgs{UserID: 1, GoodsID: goodsID}); !models.IsAway(err) {
					return err // otherwise the task comes again
				}
			}
		},
		"reconcile": func(ctx context.Context, s *stack, q *fakeQueue, _ int64, _ string) error {
			r := &reconciler{ledger: s.sales.ledger, store: s.sales.store, queue: q}
			sum, err := r.run(ctx)
			if err == nil && (sum.Settled != 1 || sum.Returned != 0) {
				err = fmt.Errorf("%+v", sum)
			}
			return err
		},
		"an answer": func(ctx context.Context, s *stack, q *fakeQueue, _ int64, taskID string) error {
			o, err := newSales(s.db, s.sales.ledger, q).Outcome(ctx, taskID)
			if err == nil && o.Code != CodeOrdered {
				err = fmt.Errorf("%+v", o)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, taskstest.Broker(t, testenv.RedisURL(t)), testenv.MySQL(t))
			q := newFakeQueue(s.rdb)
			goodsID := openGoods(t, s.db, 1)
			taskID := s.reserve(t, 1, goodsID)
			require.NoError(t, q.enqueue(t.Context(), taskID, OrderArgs{UserID: 1, GoodsID: goodsID}))
			require.NoError(t, q.end(t.Context(), taskID, q.begin(taskID).run, tasks.StateFailure, OrderResult{}))
			s.overdue(t, goodsID)

			ended := make(chan error, 1)
			err := s.db.Transaction(func(tx *gorm.DB) error {
				orders, err := newOrders([]*orderRequest{{userID: 1, goodsID: goodsID, taskID: taskID}}, time.Now().UTC())
				if err != nil {
					return err
				}
				if err := insert(tx, orders); err != nil {
					return err
				}
				if _, err := takeStock(tx, goodsID, 1, time.Now().UTC()); err != nil {
					return err
				}
				go func() { ended <- giveUp(t.Context(), s, q, goodsID, taskID) }()
				s.awaitLockWait(t)
				return nil
			})
			require.NoError(t, err)
			require.NoError(t, <-ended)
			in, err := s.rdb.HGet(t.Context(), admittedKey(goodsID), "1").Result()
			require.NoError(t, err)
			require.Equal(t, taskID, in)
		})
	}
}

// awaitLockWait waits until a transaction of the test's database waits for a lock.
func (s *stack) awaitLockWait(t *testing.T) {
	const pause = 250 * time.Millisecond // the server answers what it answered before to whoever asks ten times a second
	require.Eventually(t, func() bool {
		var n int64
		err := s.db.Raw("SELECT COUNT(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id" +
			" WHERE t.trx_state = 'LOCK WAIT' AND p.db = DATABASE()").Scan(&n).Error
		return err == nil && n > 0
	}, 30*time.Second, pause, "nothing waits for the transaction under way")
}
