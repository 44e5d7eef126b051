package counter

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// pages has a reconciler look at few users at a time.
func (s *site) pages(c *Counters) *reconciler {
	r := c.reconciler(func(int64, int64, string) error { return nil })
	r.sizes = sizes{page: 4, check: 3, repair: 2, freeze: 2}
	return r
}

func TestReconcileRepairsWhatIsWrong(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.counters.tasks = nil // the worker's own reconciliation of suspects would repair some of it first
		users := s.users(t, 10)
		for i, u := range users {
			s.publish(t, u, i%3)
			require.NoError(t, s.follow(u, users[(i+1)%len(users)], true))
		}
		r := s.pages(s.counters)
		result, err := r.whole(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 10, result.Users)
		s.requireTrue(t)
		s.work(t)
		s.ended(t)
		s.requireTrue(t)
		result, err = r.whole(ctx)
		require.NoError(t, err)
		require.Equal(t, Result{Users: 10}, result, "all is right")

		_, err = s.counters.Of(ctx, users[4])
		require.NoError(t, err)
		require.NoError(t, s.rdb.ZAdd(ctx, Articles.Key(), zOf(7, fmt.Sprint(users[4])), zOf(9, fmt.Sprint(users[5]))).Err())
		require.NoError(t, s.rdb.ZAdd(ctx, Followers.Key(), zOf(7, fmt.Sprint(users[0]))).Err())
		result, err = r.whole(ctx)
		require.NoError(t, err)
		require.Equal(t, Result{Users: 10, Repaired: Sums{Articles: 2, Followers: 1}}, result)
		s.requireTrue(t)
		counts, err := s.counters.Of(ctx, users[4])
		require.NoError(t, err)
		require.Equal(t, Counts{Articles: 1, Followings: 1, Followers: 1}, counts)
	})
}

// TestReconcileBesideTraffic has writers, late tasks and two reconcilers work at the same time.
func TestReconcileBesideTraffic(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		users := s.users(t, 12)
		_, other := s.process(t)
		_, err := other.Reconcile(t.Context())
		require.NoError(t, err)
		s.work(t)
		stop := make(chan struct{})
		var writers, all sync.WaitGroup
		for range 4 {
			writers.Go(func() {
				for n := 0; n < 40; n++ {
					user, target := users[rand.IntN(len(users))], users[rand.IntN(len(users))]
					if err := s.follow(user, target, rand.IntN(3) > 0); err != nil && !models.IsConflict(err) && !models.IsDuplicate(err) {
						t.Error(err)
					}
				}
			})
		}
		for _, c := range []*Counters{s.counters, other} {
			all.Go(func() {
				for {
					if _, err := s.pages(c).whole(t.Context()); err != nil {
						t.Error(err)
					}
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		writers.Wait()
		close(stop)
		all.Wait()
		s.ended(t)
		s.requireTrue(t)
		for _, k := range Kinds() {
			require.Zero(t, s.rdb.SCard(t.Context(), suspectsKey(k)).Val())
		}
	})
}

func TestReconcileReportsHowFarItIs(t *testing.T) {
	t.Parallel()
	s := openReal(t)
	s.users(t, 10)
	r := s.pages(s.counters)
	var reports []string
	r.report = func(done, total int64, note string) error {
		reports = append(reports, fmt.Sprintf("%d/%d %s", done, total, note))
		return nil
	}
	_, err := r.whole(t.Context())
	require.NoError(t, err)
	const removing = "10/10 removing counts of nobody: "
	require.Equal(t, []string{
		"4/10 comparing", "8/10 comparing", "10/10 comparing", removing + "articles", removing + "followings", removing + "followers",
	}, reports)
	r.report = func(int64, int64, string) error { return tasks.ErrFenced }
	_, err = r.whole(t.Context())
	require.ErrorIs(t, err, tasks.ErrFenced)
}

func TestTheTaskReconciles(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		users := s.users(t, 3)
		s.work(t)
		s.publish(t, users[1], 2)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		handle, err := Reconcile.Enqueue(ctx, s.client, Args{})
		require.NoError(t, err)
		result, err := handle.Get(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 3, result.Users)
		s.requireTrue(t)
		text, err := countScript.Run(ctx, s.rdb, keys(Articles), users[1]).Text()
		require.NoError(t, err)
		require.Equal(t, "2", text)
	})
}

func TestWhatRedisLosesIsNoticedAndCountedInTheDatabase(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		users := s.users(t, 3)
		s.publish(t, users[0], 2)
		s.publish(t, users[1], 1)
		lose := map[string]func(){
			"everything": func() { require.NoError(t, s.flush(ctx)) },
			"the counts": func() { require.NoError(t, s.rdb.Del(ctx, Articles.Key()).Err()) },
			"a count":    func() { require.NoError(t, s.rdb.ZRem(ctx, Articles.Key(), users[0]).Err()) },
			"the marker": func() { require.NoError(t, s.rdb.Del(ctx, keys(Articles)[1]).Err()) },
			"its type":   func() { require.NoError(t, s.rdb.Set(ctx, Articles.Key(), "poison", 0).Err()) },
			"its marker": func() { require.NoError(t, s.rdb.Set(ctx, keys(Articles)[1], "poison", 0).Err()) },
		}
		for name, loss := range lose {
			_, c := s.process(t)
			_, err := c.Reconcile(ctx)
			require.NoError(t, err, name)
			s.requireTrue(t)
			require.NoError(t, s.rdb.Del(ctx, CountsKey(users[0])).Err())
			require.NoError(t, s.rdb.Del(ctx, "paidui:ranking:articles").Err())
			loss()
			counts, err := c.Of(ctx, users[0])
			require.NoError(t, err, name)
			require.Equal(t, Counts{Articles: 2}, counts, name)
			top, err := c.top(ctx, Articles, 10)
			require.NoError(t, err, name)
			require.Len(t, top, 2, name)
			require.Equal(t, users[0], top[0].User.ID, name)

			waiting, err := s.client.Info(ctx, s.asked(t))
			require.NoError(t, err)
			require.Equal(t, Reconcile.Name(), waiting.Task, "a reader asks for a reconciliation")
		}
		_, c := s.process(t)
		_, err := c.Reconcile(ctx)
		require.NoError(t, err)
		s.requireTrue(t)
	})
}

// asked is the id of the one reconciliation that waits.
func (s *site) asked(t *testing.T) string {
	t.Helper()
	handle, err := Reconcile.Enqueue(t.Context(), s.client, Args{})
	require.ErrorIs(t, err, tasks.ErrDuplicate)
	return handle.ID()
}

// flush empties the Redis of the caches.
func (s *site) flush(ctx context.Context) error {
	if cluster, ok := s.rdb.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return node.FlushAll(ctx).Err() })
	}
	return s.rdb.FlushDB(ctx).Err()
}

func TestALossDuringTheRunMakesItBeginAgain(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		users := s.users(t, 10)
		for _, u := range users {
			s.publish(t, u, 1)
		}
		r := s.pages(s.counters)
		losses := 0
		r.report = func(done, _ int64, _ string) error {
			if done >= 8 && losses < 2 {
				losses++
				return s.flush(t.Context())
			}
			return nil
		}
		_, err := r.whole(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, losses)
		s.requireTrue(t)

		losses = -100
		_, err = r.whole(t.Context())
		require.ErrorIs(t, err, errRun, "a Redis that goes on losing is not taken for whole")
	})
}

// TestAStragglerAfterALossIsASuspect: what was applied before Redis lost everything, and is in the counts that were
// reconciled since, comes again.
func TestAStragglerAfterALossIsASuspect(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		users := s.users(t, 2)
		require.NoError(t, s.db.Create(&shop.Article{UserID: users[0], Title: "t"}).Error)
		id, ids := tasks.NewID("cache"), []string{Change(Articles, users[0], 1).ID}
		_, err := s.counters.Reconcile(ctx)
		require.NoError(t, err)
		time.Sleep(2 * time.Millisecond) // the id is of an earlier millisecond
		require.NoError(t, s.flush(ctx))
		_, err = s.counters.Reconcile(ctx)
		require.NoError(t, err)
		require.NoError(t, s.counters.Apply(ctx, id, ids))
		s.requireTrue(t)
		require.EqualValues(t, 1, s.rdb.SCard(ctx, suspectsKey(Articles)).Val())
		counts, err := s.counters.Of(ctx, users[0])
		require.NoError(t, err)
		require.Equal(t, Counts{Articles: 1}, counts, "from the database")

		s.work(t) // of whom Apply has asked to look after suspects
		require.Eventually(t, func() bool { return s.rdb.SCard(ctx, suspectsKey(Articles)).Val() == 0 }, patience, 10*time.Millisecond)
		s.requireTrue(t)
	})
}

func TestTasksThatTellNoTimeAreNotCounted(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		users := s.users(t, 1)
		_, err := s.counters.Reconcile(ctx)
		require.NoError(t, err)
		require.NoError(t, s.counters.Apply(ctx, "by-hand", []string{
			Change(Articles, users[0], 5).ID, Change(Followers, 999_999, 1).ID,
		}))
		counts, err := s.counters.Of(ctx, users[0])
		require.NoError(t, err)
		require.Zero(t, counts)
		result, err := s.pages(s.counters).suspects(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 2, result.Users)
		for _, k := range Kinds() {
			require.Zero(t, s.rdb.SCard(ctx, suspectsKey(k)).Val())
		}
		s.requireTrue(t)
	})
}

func TestAFrozenUserIsWaitedFor(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		users := s.users(t, 2)
		_, err := s.counters.Reconcile(ctx)
		require.NoError(t, err)
		l := s.counters.redisCounts
		require.NoError(t, l.open(ctx, Articles, "mine", "", scope{users: users[:1]}))
		require.ErrorIs(t, l.open(ctx, Articles, "other", "", scope{lo: 1, hi: 2}), errBusy)
		s.publish(t, users[1], 1) // who is not
		require.EqualValues(t, 1, s.rdb.ZScore(ctx, Articles.Key(), fmt.Sprint(users[1])).Val())

		id, ids := tasks.NewID("cache"), []string{Change(Articles, users[0], 1).ID}
		err = s.counters.Apply(ctx, id, ids)
		require.ErrorIs(t, err, errFrozen)
		done := make(chan error, 1)
		go func() { done <- s.counters.Apply(ctx, id, ids) }()
		noted, err := l.close(ctx, Articles, "mine")
		require.NoError(t, err)
		require.Empty(t, noted)
		require.NoError(t, <-done)
		require.EqualValues(t, 1, s.rdb.ZScore(ctx, Articles.Key(), fmt.Sprint(users[0])).Val())
		_, err = l.close(ctx, Articles, "mine")
		require.ErrorIs(t, err, errWindow)
	})
}

func TestABacklogIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := openReal(t)
	users := s.users(t, 1)
	ids := make([]string, 0, 1000)
	for range 1000 {
		ids = append(ids, fmt.Sprintf(`{"cache":"counters","id":"articles:%d:+1"}`, users[0]+int64(len(ids))))
	}
	body := `{"id":"%s","task":"refresh.changed","queue":"cache","args":{"changes":[` + strings.Join(ids, ",") +
		`]},"headers":[],"timeout":60,"retention":900}`
	later := time.Now().Add(time.Hour)
	var rows []models.OutboxRow
	for range maxPending/1000 + 1 {
		id := tasks.NewID("cache")
		rows = append(rows, models.OutboxRow{TaskID: id, Task: "refresh.changed", Body: fmt.Sprintf(body, id), SentAt: &later})
	}
	require.NoError(t, s.db.CreateInBatches(rows, 10).Error)
	_, err := database{s.db}.snapshot(t.Context(), scope{lo: 1, hi: 1 << 40})
	require.ErrorIs(t, err, errBacklog)
	_, err = database{s.db}.snapshot(t.Context(), scope{users: users})
	require.NoError(t, err, "the changes of others are not kept")
	others := make([]models.OutboxRow, maxOutbox-len(rows)+1)
	for i := range others {
		others[i] = models.OutboxRow{TaskID: fmt.Sprint(i), Task: "refresh.changed", SentAt: &later}
	}
	require.NoError(t, s.db.CreateInBatches(others, 1000).Error)
	_, err = database{s.db}.snapshot(t.Context(), scope{users: users})
	require.ErrorIs(t, err, errBacklog, "nor are too many of them read")

	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: s.client})
	s.users(t, 1000)
	Bind(mux, s.counters)
	taskstest.Serve(t, s.broker, mux, "cache")
	handle, err := Reconcile.Enqueue(t.Context(), s.client, Args{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := s.client.Info(t.Context(), handle.ID())
		require.NoError(t, err)
		return info.NextRunAt != nil && !info.State.Final()
	}, patience, 10*time.Millisecond, "it comes again")
}
