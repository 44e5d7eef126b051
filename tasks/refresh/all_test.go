package refresh_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/articles"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/profiles"
	"github.com/paidui/paidui/tasks/refresh"
	"github.com/paidui/paidui/tasks/refresh/refreshtest"
	"github.com/paidui/paidui/tasks/taskstest"
)

// crowd adds n users.
func (s site) crowd(t *testing.T, n int) {
	t.Helper()
	users := make([]shop.User, n)
	for i := range users {
		users[i] = shop.User{Mobile: fmt.Sprint(13800000000 + i), Name: "old"}
	}
	require.NoError(t, s.DB.CreateInBatches(users, 500).Error)
}

func (s site) all(t *testing.T, args refresh.AllArgs, opts ...tasks.Option) *tasks.Result[refresh.AllResult] {
	t.Helper()
	made, err := refresh.All.Enqueue(t.Context(), s.Client, args, opts...)
	require.NoError(t, err)
	return made
}

func TestAllRewritesWhatIsCached(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		p := s.process(t, nil, 0)
		s.work(t, p)
		const n = 23
		s.crowd(t, n)
		for i := range n { // every second one is cached, and old
			if i%2 == 0 {
				_, err := p.profiles.Get(t.Context(), int64(i+1))
				require.NoError(t, err)
			}
		}
		require.NoError(t, s.DB.Model(&shop.User{}).Where("id > 0").Update("name", "new").Error)
		require.NoError(t, s.DB.Create(&shop.Article{UserID: 1, Title: "title", Content: "x"}).Error)
		_, err := p.banners.Get(t.Context())
		require.NoError(t, err)
		require.NoError(t, s.DB.Create(&shop.Banner{Title: "one", Image: "/1", IsShow: true}).Error)

		for _, batch := range []int{0, 1, 7, n, n + 1, refresh.MaxBatch} {
			got, err := s.all(t, refresh.AllArgs{Cache: "users", Batch: batch}).Get(testenv.Soon(t))
			require.NoError(t, err)
			require.Equal(t, refresh.AllResult{Cache: "users", Rewritten: n}, got)
		}
		for i := range n {
			require.Contains(t, refreshtest.Cached(t, s.Redis, profiles.Key(int64(i+1))), `"name":"new"`)
		}
		left := s.Redis.PTTL(t.Context(), profiles.Key(1)).Val()
		require.Greater(t, left, time.Hour)
		for kind, key := range map[string]string{"articles": articles.Key(1), "banners": banners.Key} {
			got, err := s.all(t, refresh.AllArgs{Cache: kind}).Get(testenv.Soon(t))
			require.NoError(t, err)
			require.Equal(t, refresh.AllResult{Cache: kind, Rewritten: 1}, got)
			require.Contains(t, refreshtest.Cached(t, s.Redis, key), "title")
		}
		keys, err := s.Redis.Keys(t.Context(), "paidui:refresh:*").Result()
		require.NoError(t, err)
		require.Empty(t, keys, "nothing is left over")
	})
}

func TestAllThatWaitsStandsForTheNext(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		first := s.all(t, refresh.AllArgs{Cache: "users"})
		same, err := refresh.All.Enqueue(t.Context(), s.Client, refresh.AllArgs{Cache: "users"})
		require.ErrorIs(t, err, tasks.ErrDuplicate)
		require.Equal(t, first.ID(), same.ID())
		require.NotEqual(t, first.ID(), s.all(t, refresh.AllArgs{Cache: "articles"}).ID())
		s.work(t, s.process(t, nil, 0))
		_, err = first.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.NotEqual(t, first.ID(), s.all(t, refresh.AllArgs{Cache: "users"}).ID(), "it has ended")
	})
}

func TestAllOfAnEmptyTable(t *testing.T) {
	t.Parallel()
	s := realSite(t)
	s.work(t, s.process(t, nil, 0))
	got, err := s.all(t, refresh.AllArgs{Cache: "articles"}).Get(testenv.Soon(t))
	require.NoError(t, err)
	require.Equal(t, refresh.AllResult{Cache: "articles"}, got)
}

func TestAllOfAnUnknownKindNamesThoseThereAre(t *testing.T) {
	t.Parallel()
	s := realSite(t)
	s.work(t, s.process(t, nil, 0))
	_, err := s.all(t, refresh.AllArgs{Cache: "goods"}).Get(testenv.Soon(t))
	var failed *tasks.FailureError
	require.ErrorAs(t, err, &failed)
	require.Contains(t, failed.Msg, `there is no cache "goods" to rewrite; there are articles, banners, users`)
	info, err := s.Client.Info(t.Context(), failed.ID)
	require.NoError(t, err)
	require.Zero(t, info.Retries)
}

func TestAllArgs(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args  refresh.AllArgs
		field string
	}{
		{refresh.AllArgs{Cache: "users"}, ""},
		{refresh.AllArgs{Cache: "users", Batch: refresh.MaxBatch}, ""},
		{refresh.AllArgs{}, "cache"},
		{refresh.AllArgs{Cache: strings.Repeat("x", refresh.MaxCacheName+1)}, "cache"},
		{refresh.AllArgs{Cache: "users", Batch: -1}, "batch"},
		{refresh.AllArgs{Cache: "users", Batch: refresh.MaxBatch + 1}, "batch"},
	} {
		err := tc.args.Validate()
		if tc.field == "" {
			require.NoError(t, err)
			continue
		}
		var args *tasks.ArgsError
		require.ErrorAs(t, err, &args)
		require.Equal(t, tc.field, args.Field)
	}
}

// TestAllGoesOnWhereItWas fails a read of the database in the middle.
func TestAllGoesOnWhereItWas(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		const n, batch = 40, 10
		s.crowd(t, n)
		var loads atomic.Int32
		var mu sync.Mutex
		var firsts []any // of the batches that were read by id
		require.NoError(t, s.DB.Callback().Query().Before("gorm:query").Register("fail", func(tx *gorm.DB) {
			in, ok := tx.Statement.Clauses["WHERE"]
			if !ok || !strings.Contains(fmt.Sprint(in.Expression), "id > ?") {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			firsts = append(firsts, fmt.Sprint(in.Expression))
			if loads.Add(1) == 3 {
				_ = tx.AddError(errors.New("gone away"))
			}
		}))
		p := s.process(t, nil, 0)
		s.work(t, p)
		made := s.all(t, refresh.AllArgs{Cache: "users", Batch: batch}, tasks.Backoff(time.Millisecond, time.Millisecond))
		got, err := made.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.EqualValues(t, n, got.Rewritten, "nothing is counted twice")
		info, err := s.Client.Info(t.Context(), made.ID())
		require.NoError(t, err)
		require.Equal(t, 1, info.Retries)
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, firsts, n/batch+2, "the second attempt began anew: %v", firsts)
		require.Equal(t, firsts[2], firsts[3])
	})
}

func TestAllReportsItsProgress(t *testing.T) {
	t.Parallel()
	s := realSite(t)
	const n, batch = 30, 10
	s.crowd(t, n)
	hold := make(chan struct{})
	var pages atomic.Int32
	require.NoError(t, s.DB.Callback().Query().Before("gorm:query").Register("hold", func(tx *gorm.DB) {
		if w, ok := tx.Statement.Clauses["WHERE"]; ok && strings.Contains(fmt.Sprint(w.Expression), "id > ?") && pages.Add(1) == 3 {
			<-hold
		}
	}))
	s.work(t, s.process(t, nil, 0))
	made := s.all(t, refresh.AllArgs{Cache: "users", Batch: batch})
	testenv.Eventually(t, func() bool {
		info, err := s.Client.Info(t.Context(), made.ID())
		return err == nil && info.Progress != nil && info.Progress.Done == 2*batch && info.Progress.Total == n && info.Progress.Note == "users"
	}, "no progress")
	close(hold)
	got, err := made.Get(testenv.Soon(t))
	require.NoError(t, err)
	require.EqualValues(t, n, got.Rewritten)
}

func TestAllEndsWhenItIsRevoked(t *testing.T) {
	t.Parallel()
	s := realSite(t)
	s.crowd(t, 30)
	reading := make(chan struct{}, 100)
	require.NoError(t, s.DB.Callback().Query().Before("gorm:query").Register("slow", func(tx *gorm.DB) {
		if w, ok := tx.Statement.Clauses["WHERE"]; ok && strings.Contains(fmt.Sprint(w.Expression), "id > ?") {
			reading <- struct{}{}
			<-tx.Statement.Context.Done()
		}
	}))
	s.work(t, s.process(t, nil, 0))
	made := s.all(t, refresh.AllArgs{Cache: "users", Batch: 1})
	<-reading
	_, err := s.Client.Revoke(t.Context(), made.ID(), tasks.Terminate(), tasks.Reason("enough"))
	require.NoError(t, err)
	_, err = made.Get(testenv.Soon(t))
	require.ErrorIs(t, err, tasks.ErrRevoked)
}

// TestAllBesideWritesLeavesTheCacheTrue has two runs at once, writers and readers.
func TestAllBesideWritesLeavesTheCacheTrue(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		s.Outbox(t)
		const n = 30
		s.crowd(t, n)
		here, there := s.process(t, nil, 0), s.process(t, taskstest.Connect(t, s.CacheURL), 0)
		s.work(t, here)
		var all sync.WaitGroup
		for writer, p := range []process{here, there} {
			all.Go(func() {
				for i := range 60 {
					name := fmt.Sprint(writer, "-", i)
					if _, err := p.profiles.Update(t.Context(), int64(i%n+1), profiles.Change{Name: &name}); err != nil {
						t.Error(err)
					}
				}
			})
			all.Go(func() {
				for i := range 300 {
					if _, err := p.profiles.Get(t.Context(), int64(i%n+1)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 3 {
			one, two := s.all(t, refresh.AllArgs{Cache: "users", Batch: 7}), s.all(t, refresh.AllArgs{Cache: "users", Batch: 4})
			for _, made := range []*tasks.Result[refresh.AllResult]{one, two} {
				got, err := made.Get(testenv.Soon(t))
				require.NoError(t, err)
				require.LessOrEqual(t, got.Rewritten, int64(n))
			}
		}
		all.Wait()
		testenv.Eventually(t, func() bool { return s.Waiting(t) == 0 }, "the tasks do not end")
		requireTrue(t, s, s.process(t, nil, 0))
	})
}

// requireTrue holds every profile that the process reads against the database.
func requireTrue(t *testing.T, s site, p process) {
	t.Helper()
	var users []shop.User
	require.NoError(t, s.DB.Find(&users).Error)
	for _, u := range users {
		got, err := p.profiles.Get(t.Context(), u.ID)
		require.NoError(t, err)
		require.Equal(t, u.Name, got.Name, "user %d", u.ID)
	}
}

func TestTwoKindsOfANameAreAMistake(t *testing.T) {
	t.Parallel()
	s := realSite(t)
	p := s.process(t, nil, 0)
	require.Panics(t, func() {
		refresh.Bind(tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()}), p.store, p.profiles.Kind(), p.profiles.Kind())
	})
}

func TestChangedBackoff(t *testing.T) {
	t.Parallel()
	var total time.Duration
	for retry := range tasks.MaxMaxRetries {
		d := refresh.ChangedBackoff(retry)
		require.Positive(t, d)
		require.LessOrEqual(t, d, 30*time.Second)
		total += d
	}
	require.Greater(t, total, 48*time.Hour)
	require.Less(t, slices.Max([]time.Duration{refresh.ChangedBackoff(0), refresh.ChangedBackoff(0)}), time.Second)
}
