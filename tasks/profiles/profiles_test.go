package profiles_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/profiles"
	"github.com/paidui/paidui/tasks/refresh/refreshtest"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestProfilesAreCached(t *testing.T) {
	refreshtest.Each(t, func(t *testing.T, s refreshtest.Site) {
		s.Outbox(t)
		p := profiles.New(s.DB, s.Store(t, nil))
		user := s.AddUser(t, "13800000001", "Ann")
		want := profiles.Profile{ID: user.ID, Name: "Ann", Mobile: "13800000001", Photo: "/media/a.png", Intro: "hello", Certi: "author"}
		got, err := p.Get(t.Context(), user.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
		key := profiles.Key(user.ID)
		require.Equal(t, "user:1:profile", key)
		require.JSONEq(t, `{"id":1,"name":"Ann","mobile":"13800000001","photo":"/media/a.png","intro":"hello","certi":"author"}`, refreshtest.Cached(t, s.Redis, key))
		left := s.Redis.PTTL(t.Context(), key).Val()
		require.Greater(t, left, 2*time.Hour-time.Minute)
		require.LessOrEqual(t, left, 2*time.Hour+10*time.Minute)

		data, tag, err := p.Cache().Encoded(t.Context(), user.ID)
		require.NoError(t, err)
		require.JSONEq(t, `{"id":1,"name":"Ann","photo":"/media/a.png","intro":"hello","certi":"author"}`, string(data))
		require.NotEmpty(t, tag)
	})
}

func TestNobodyIsCachedToo(t *testing.T) {
	refreshtest.Each(t, func(t *testing.T, s refreshtest.Site) {
		s.Outbox(t)
		p := profiles.New(s.DB, s.Store(t, nil))
		_, err := p.Get(t.Context(), 7)
		require.ErrorIs(t, err, cache.ErrNull)
		require.Equal(t, "-1", refreshtest.Cached(t, s.Redis, "user:7:profile"))
		left := s.Redis.PTTL(t.Context(), "user:7:profile").Val()
		require.Greater(t, left, 4*time.Minute)
		require.LessOrEqual(t, left, 6*time.Minute)
		exists, err := p.Exists(t.Context(), 7)
		require.NoError(t, err)
		require.False(t, exists)

		user := s.AddUser(t, "13800000001", "Ann")
		exists, err = p.Exists(t.Context(), user.ID)
		require.NoError(t, err)
		require.True(t, exists)
		found, err := p.GetMany(t.Context(), []int64{user.ID, 7, user.ID, 8})
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, "Ann", found[user.ID].Name)
	})
}

func TestANewUserIsSeenDespiteAnEarlierProbe(t *testing.T) {
	refreshtest.Each(t, func(t *testing.T, s refreshtest.Site) {
		s.Outbox(t)
		here, there := profiles.New(s.DB, s.Store(t, nil)), profiles.New(s.DB, s.Store(t, taskstest.Connect(t, s.CacheURL)))
		for _, p := range []*profiles.Profiles{here, there} {
			_, err := p.Get(t.Context(), 1)
			require.ErrorIs(t, err, cache.ErrNull)
		}
		made, err := here.Create(t.Context(), "13800000001")
		require.NoError(t, err)
		require.EqualValues(t, 1, made.ID)
		require.Regexp(t, `^用户\w{6}$`, made.Name)
		require.Empty(t, refreshtest.Cached(t, s.Redis, "user:1:profile"), "the null is gone as soon as the user is there")
		got, err := here.Get(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, made, got)
		testenv.Eventually(t, func() bool {
			exists, err := there.Exists(t.Context(), 1)
			return err == nil && exists
		}, "another process does not see the user")
		require.Equal(t, 1, s.Waiting(t), "one task for the write")

		again, err := here.Create(t.Context(), "13800000001")
		require.NoError(t, err)
		require.Equal(t, made, again)
		require.Equal(t, 1, s.Waiting(t), "nothing was written")
	})
}

func TestConcurrentCreatesMakeOneUser(t *testing.T) {
	refreshtest.Each(t, func(t *testing.T, s refreshtest.Site) {
		s.Outbox(t)
		p := profiles.New(s.DB, s.Store(t, nil))
		ids := make(chan int64, 10)
		var all sync.WaitGroup
		for range cap(ids) {
			all.Go(func() {
				made, err := p.Create(t.Context(), "13800000001")
				if err != nil {
					t.Error(err)
				}
				ids <- made.ID
			})
		}
		all.Wait()
		close(ids)
		first := <-ids
		for id := range ids {
			require.Equal(t, first, id)
		}
	})
}

func TestUpdateIsSeenAtOnce(t *testing.T) {
	refreshtest.Each(t, func(t *testing.T, s refreshtest.Site) {
		s.Outbox(t)
		p := profiles.New(s.DB, s.Store(t, nil))
		user := s.AddUser(t, "13800000001", "Ann")
		_, err := p.Get(t.Context(), user.ID)
		require.NoError(t, err)
		name, intro := "Bea", ""
		changed, err := p.Update(t.Context(), user.ID, profiles.Change{Name: &name, Intro: &intro})
		require.NoError(t, err)
		want := profiles.Profile{ID: user.ID, Name: "Bea", Mobile: "13800000001", Photo: "/media/a.png", Certi: "author"}
		require.Equal(t, want, changed)
		got, err := p.Get(t.Context(), user.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, 1, s.Waiting(t))

		same, err := p.Update(t.Context(), user.ID, profiles.Change{Name: &name})
		require.NoError(t, err)
		require.Equal(t, want, same)
		require.Equal(t, 1, s.Waiting(t), "nothing was written")

		_, err = p.Update(t.Context(), 999, profiles.Change{Name: &name})
		require.ErrorIs(t, err, cache.ErrNull)
	})
}

func TestClearFollowsAChangeBehindTheProgramsBack(t *testing.T) {
	t.Parallel()
	s := refreshtest.Real(t)
	p := profiles.New(s.DB, s.Store(t, nil))
	user := s.AddUser(t, "13800000001", "Ann")
	_, err := p.Get(t.Context(), user.ID)
	require.NoError(t, err)
	require.NoError(t, s.DB.Delete(&shop.User{}, user.ID).Error)
	exists, err := p.Exists(t.Context(), user.ID)
	require.NoError(t, err)
	require.True(t, exists, "nothing has told the cache")
	require.NoError(t, p.Clear(t.Context(), user.ID))
	exists, err = p.Exists(t.Context(), user.ID)
	require.NoError(t, err)
	require.False(t, exists)
}

func TestByMobile(t *testing.T) {
	t.Parallel()
	s := refreshtest.Real(t)
	p := profiles.New(s.DB, s.Store(t, nil))
	_, err := p.ByMobile(t.Context(), "13800000001")
	require.ErrorIs(t, err, cache.ErrNull)
	user := s.AddUser(t, "13800000001", "Ann")
	got, err := p.ByMobile(t.Context(), "13800000001")
	require.NoError(t, err)
	require.Equal(t, user.ID, got.ID)
}
