package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/profiles"
	"github.com/paidui/paidui/tasks/refresh"
	"github.com/paidui/paidui/tasks/refresh/refreshtest"
	"github.com/paidui/paidui/tasks/taskstest"
)

// mortal is a Redis client whose scripts fail once it is told to: as after the death of the process, nothing that the
// process still does reaches Redis.
type mortal struct{ dead atomic.Bool }

var errDead = errors.New("the process is dead")

func (m *mortal) DialHook(next redis.DialHook) redis.DialHook { return next }

func (m *mortal) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if m.dead.Load() {
			cmd.SetErr(errDead)
			return errDead
		}
		return next(ctx, cmd)
	}
}

func (m *mortal) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if m.dead.Load() {
			for _, cmd := range cmds {
				cmd.SetErr(errDead)
			}
			return errDead
		}
		return next(ctx, cmds)
	}
}

func TestAProcessThatDiesAfterItsCommitLeavesNothingStale(t *testing.T) {
	t.Parallel()
	for _, strategy := range []cache.Strategy{
		cache.DeleteOnWrite, cache.UpdateOnWrite, cache.DeleteOnWrite | cache.UpdateOnWrite | cache.Periodic,
	} {
		t.Run(strategy.String(), func(t *testing.T) {
			eachSite(t, func(t *testing.T, s site) {
				s.Outbox(t)
				death := &mortal{}
				rdb := taskstest.Connect(t, s.CacheURL)
				rdb.AddHook(death)
				dying, other := s.process(t, rdb, strategy), s.process(t, nil, strategy)
				user, banner := s.AddUser(t, "13800000001", "old"), shop.Banner{Title: "old", Image: "/x.png", IsShow: true}
				require.NoError(t, s.DB.Create(&banner).Error)
				read := func() (name string, titles []string) {
					list, err := other.banners.Get(t.Context())
					require.NoError(t, err)
					user, err := other.profiles.Get(t.Context(), user.ID)
					require.NoError(t, err)
					return user.Name, titlesOf(list)
				}
				read()

				death.dead.Store(true)
				renewed := "new"
				_, err := dying.profiles.Update(t.Context(), user.ID, profiles.Change{Name: &renewed})
				require.NoError(t, err, "what is committed is no error")
				require.NoError(t, dying.banners.Write(t.Context(), func(tx *gorm.DB) error {
					return tx.Model(&banner).Update("title", "new").Error
				}))
				name, titles := read()
				require.Equal(t, []string{"old", "old"}, append(titles, name), "nothing has told the cache yet")
				require.Equal(t, 2, s.Waiting(t))

				s.work(t, other)
				testenv.Eventually(t, func() bool { return s.Waiting(t) == 0 }, "the tasks do not end")
				name, titles = read()
				require.Equal(t, []string{"new", "new"}, append(titles, name))
			})
		})
	}
}

func TestTheTaskFindsItsChangeApplied(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		s.Outbox(t)
		p := s.process(t, nil, 0)
		user := s.AddUser(t, "13800000001", "Ann")
		name := "Bea"
		_, err := p.profiles.Update(t.Context(), user.ID, profiles.Change{Name: &name})
		require.NoError(t, err)
		got, err := p.profiles.Get(t.Context(), user.ID) // fills again, before the task runs
		require.NoError(t, err)
		require.Equal(t, "Bea", got.Name)
		var row models.OutboxRow
		require.NoError(t, s.DB.Take(&row).Error)
		s.work(t, p)
		testenv.Eventually(t, func() bool { return s.Waiting(t) == 0 }, "the task does not end")
		require.Contains(t, refreshtest.Cached(t, s.Redis, profiles.Key(user.ID)), "Bea", "the task has taken nothing away")
		testenv.Eventually(t, func() bool { // it is acknowledged after its row is gone
			_, err := s.Client.Info(t.Context(), row.TaskID)
			return errors.Is(err, tasks.ErrNotFound)
		}, "as many as writes would fill Redis")
	})
}

func TestAWriteWhileTheCachesRedisIsDown(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func() string{
		"mariadb": func() string { return testenv.MySQL(t) },
		"sqlite":  func() string { return "sqlite://" + t.TempDir() + "/site.db" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testenv.Redis(t, testenv.WithArgs("--appendonly", "yes")) // it remembers
			s := site{refreshtest.Open(t, database(), server.URL(0), taskstest.Embedded(t))}
			s.Outbox(t)
			p := s.process(t, nil, 0)
			s.work(t, p)
			user := s.AddUser(t, "13800000001", "old")
			_, err := p.profiles.Get(t.Context(), user.ID)
			require.NoError(t, err)

			server.Stop()
			for i := range 20 {
				name := fmt.Sprint("new ", i)
				begun := time.Now()
				_, err = p.profiles.Update(t.Context(), user.ID, profiles.Change{Name: &name})
				require.NoError(t, err, "a cache that is away is no error")
				require.Less(t, time.Since(begun), 10*time.Second)
			}
			got, err := p.profiles.Get(t.Context(), user.ID)
			require.NoError(t, err)
			require.Equal(t, "new 19", got.Name)
			require.Positive(t, s.Waiting(t))

			server.Start()
			testenv.Eventually(t, func() bool { return s.Waiting(t) == 0 }, "the tasks do not end")
			require.NotContains(t, refreshtest.Cached(t, s.Redis, profiles.Key(user.ID)), "old")
			got, err = p.profiles.Get(t.Context(), user.ID)
			require.NoError(t, err)
			require.Equal(t, "new 19", got.Name)
		})
	}
}

func TestAWriteWhileTheBrokersRedisIsDown(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	s := site{refreshtest.Open(t, testenv.MySQL(t), testenv.RedisURL(t), taskstest.Broker(t, server.URL(0)))}
	s.Outbox(t)
	death := &mortal{}
	rdb := taskstest.Connect(t, s.CacheURL)
	rdb.AddHook(death)
	well, dying := s.process(t, nil, 0), s.process(t, rdb, 0)
	s.work(t, well)
	ann, bob := s.AddUser(t, "13800000001", "old"), s.AddUser(t, "13800000002", "old")
	for _, id := range []int64{ann.ID, bob.ID} {
		_, err := well.profiles.Get(t.Context(), id)
		require.NoError(t, err)
	}
	server.Stop()
	name := "new"
	_, err := well.profiles.Update(t.Context(), ann.ID, profiles.Change{Name: &name})
	require.NoError(t, err)
	require.Empty(t, refreshtest.Cached(t, s.Redis, profiles.Key(ann.ID)), "the cache was told at once")
	death.dead.Store(true)
	_, err = dying.profiles.Update(t.Context(), bob.ID, profiles.Change{Name: &name})
	require.NoError(t, err)
	require.Contains(t, refreshtest.Cached(t, s.Redis, profiles.Key(bob.ID)), "old")
	require.Equal(t, 2, s.Waiting(t))

	server.Start()
	testenv.Eventually(t, func() bool { return s.Waiting(t) == 0 }, "the tasks do not end")
	got, err := well.profiles.Get(t.Context(), bob.ID)
	require.NoError(t, err)
	require.Equal(t, "new", got.Name)
}

func TestNothingIsAnnouncedThatIsNotCommitted(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testenv.MySQL(t))
	require.NoError(t, err)
	s := site{refreshtest.Open(t, u.String(), testenv.RedisURL(t), taskstest.Embedded(t))}
	p := s.process(t, nil, 0)
	user := s.AddUser(t, "13800000001", "Ann")
	name := "Bea"
	_, err = p.profiles.Update(t.Context(), user.ID, profiles.Change{Name: &name})
	require.ErrorIs(t, err, tasks.ErrNoOutbox, "a program that forgot its outbox finds out")
	var stored shop.User
	require.NoError(t, s.DB.Take(&stored, user.ID).Error)
	require.Equal(t, "Ann", stored.Name)
}

func TestChangedIsTriedUntilItWorks(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		p := s.process(t, nil, 0)
		late := refreshtest.NewApplier("late")
		late.Fails.Store(3)
		p.store.Register(late)
		s.work(t, p)
		made, err := refresh.Changed.Enqueue(t.Context(), s.Client, refresh.ChangedArgs{Changes: []cache.Change{
			{Cache: "late", ID: "1"}, {Cache: "users", ID: "2"}, {Cache: "late", ID: "3"},
		}})
		require.NoError(t, err)
		testenv.Eventually(t, func() bool { return len(late.IDs()) == 2 }, "it is not tried again")
		require.Equal(t, []string{"1", "3"}, late.IDs())
		require.Equal(t, []string{made.ID()}, late.Tasks())
	})
}

func TestAChangeOfAnUnknownCacheWaitsForWhoKnowsIt(t *testing.T) {
	t.Parallel()
	s := realSite(t)
	p := s.process(t, nil, 0)
	s.work(t, p)
	user := s.AddUser(t, "13800000001", "old")
	_, err := p.profiles.Get(t.Context(), user.ID)
	require.NoError(t, err)
	made, err := refresh.Changed.Enqueue(t.Context(), s.Client, refresh.ChangedArgs{Changes: []cache.Change{
		{Cache: "followers", ID: "1"}, {Cache: "users", ID: "1"},
	}})
	require.NoError(t, err)
	testenv.Eventually(t, func() bool {
		info, err := s.Client.Info(t.Context(), made.ID())
		return err == nil && info.State == tasks.StateRetry && strings.Contains(info.Error, "followers")
	}, "it is not to be tried again")
	require.Empty(t, refreshtest.Cached(t, s.Redis, profiles.Key(user.ID)), "the others are done nevertheless")
	later := refreshtest.NewApplier("followers")
	p.store.Register(later)
	testenv.Eventually(t, func() bool { return len(later.IDs()) == 1 }, "it is lost")
}

func TestAMalformedChangeFailsAtOnceAndKeepsNoOthersBack(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		p := s.process(t, nil, 0)
		s.work(t, p)
		user := s.AddUser(t, "13800000001", "old")
		_, err := p.profiles.Get(t.Context(), user.ID)
		require.NoError(t, err)
		made, err := refresh.Changed.Enqueue(t.Context(), s.Client, refresh.ChangedArgs{Changes: []cache.Change{
			{Cache: "users", ID: "x"}, {Cache: "users", ID: fmt.Sprint(user.ID)},
		}})
		require.NoError(t, err)
		var info *tasks.Info
		testenv.Eventually(t, func() bool {
			info, err = s.Client.Info(t.Context(), made.ID())
			return err == nil && info.State == tasks.StateFailure
		}, "it is tried again")
		require.Contains(t, info.Error, `change "x"`)
		require.Zero(t, info.Retries)
		require.Empty(t, refreshtest.Cached(t, s.Redis, profiles.Key(user.ID)), "the other one is done nevertheless")
	})
}

func TestChangedArgs(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("x", n) }
	many := func(n int) []cache.Change { return slices.Repeat([]cache.Change{{Cache: "users", ID: "1"}}, n) }
	for _, tc := range []struct {
		changes []cache.Change
		field   string // "" is valid
	}{
		{many(1), ""},
		{many(refresh.MaxChanges), ""},
		{[]cache.Change{{Cache: long(refresh.MaxCacheName), ID: long(refresh.MaxChangeID)}}, ""},
		{nil, "changes"},
		{many(refresh.MaxChanges + 1), "changes"},
		{[]cache.Change{{Cache: "users", ID: "1"}, {ID: "1"}}, "changes.1.cache"},
		{[]cache.Change{{Cache: "users"}}, "changes.0.id"},
		{[]cache.Change{{Cache: long(refresh.MaxCacheName + 1), ID: "1"}}, "changes.0.cache"},
		{[]cache.Change{{Cache: "users", ID: long(refresh.MaxChangeID + 1)}}, "changes.0.id"},
		{[]cache.Change{{Cache: "users", ID: "\xff"}}, "changes.0.id"},
	} {
		err := refresh.ChangedArgs{Changes: tc.changes}.Validate()
		if tc.field == "" {
			require.NoError(t, err)
			continue
		}
		var args *tasks.ArgsError
		require.ErrorAs(t, err, &args)
		require.Equal(t, tc.field, args.Field)
	}
}
