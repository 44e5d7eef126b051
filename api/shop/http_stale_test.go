package shop_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/refresh"
	"github.com/paidui/paidui/tasks/taskstest"
)

// failingRedis is a hook with which every script fails, or panics as a request that ends does, while how is set: then
// nothing that the process does after its commit reaches the cache.
type failingRedis struct {
	how atomic.Pointer[func() error]
}

func (d *failingRedis) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d *failingRedis) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := d.fail(cmd); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

func (d *failingRedis) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := d.fail(cmds...); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}

func (d *failingRedis) fail(cmds ...redis.Cmder) (err error) {
	how := d.how.Load()
	for _, cmd := range cmds {
		if how != nil && slices.Contains([]string{"eval", "evalsha"}, cmd.Name()) {
			err = (*how)()
			cmd.SetErr(err)
		}
	}
	return err
}

// unapplied counts the changes whose tasks have not ended.
func (s *system) unapplied(t *testing.T) int {
	t.Helper()
	var n int64
	require.NoError(t, s.db.Model(&models.OutboxRow{}).Where("task = ?", refresh.Changed.Name()).Count(&n).Error)
	return int(n)
}

func TestAProcessThatDiesAfterItsCommitLeavesNothingStale(t *testing.T) {
	t.Parallel()
	deaths := map[string]func() error{
		"killed":          func() error { panic(http.ErrAbortHandler) },
		"Redis goes away": func() error { return errors.New("connection reset by peer") },
	}
	for name, die := range deaths {
		for _, strategy := range []cache.Strategy{cache.DeleteOnWrite, cache.UpdateOnWrite} {
			t.Run(name+", "+strategy.String(), func(t *testing.T) {
				t.Parallel()
				failing := &failingRedis{}
				r := testenv.Redis(t)
				opt, err := redis.ParseURL(r.URL(2))
				require.NoError(t, err)
				rdb := redis.NewClient(opt)
				t.Cleanup(func() { require.NoError(t, rdb.Close()) })
				rdb.AddHook(failing)
				s := assemble(t, testenv.MySQL(t), r.URL(1), r.URL(2), []change{func(o *options) {
					o.Features = features(t, o.DB, o.Tasks, rdb, strategy, testenv.Quiet())
				}})
				in := s.login(t, mobile)
				user, profile := bearer(in.Token), fmt.Sprint("/v1/users/", in.User.ID)
				require.Equal(t, 100, s.Put("/v1/user", map[string]any{"name": "old"}, user).Code)
				require.Contains(t, string(s.Get(profile).Data), `"old"`)
				var row banner
				s.Post("/v1/banners", map[string]any{"title": "old", "image": "/1.svg"}, asOperator).Into(t, &row)
				require.Equal(t, "old", s.visible(t)[0].Title)
				before := s.unapplied(t)

				failing.how.Store(&die)
				require.Equal(t, 100, s.Put(fmt.Sprint("/v1/banners/", row.ID), map[string]any{"title": "new"}, asOperator).Code)
				require.Equal(t, 100, s.Put("/v1/user", map[string]any{"name": "new"}, user).Code)
				failing.how.Store(nil)
				require.Equal(t, "old", s.cachedTitle(t), "nothing has told the cache yet")
				require.Equal(t, before+2, s.unapplied(t))

				s.work(t)
				require.Eventually(t, func() bool { return s.unapplied(t) == 0 }, time.Minute, 20*time.Millisecond)
				require.Equal(t, "new", s.visible(t)[0].Title)
				require.Contains(t, string(s.Get(profile).Data), `"new"`)
			})
		}
	}
}

// cachedTitle is the first banner's in Redis.
func (s *system) cachedTitle(t *testing.T) string {
	t.Helper()
	raw, err := s.cache.Get(t.Context(), banners.Key).Bytes()
	require.NoError(t, err)
	var list []banner
	answer{Data: raw}.Into(t, &list)
	return list[0].Title
}

func TestAWriteNeedsNoBroker(t *testing.T) {
	t.Parallel()
	other := testenv.Redis(t)
	away := taskstest.Broker(t, other.URL(0))
	s := start(t, func(o *options) { o.Broker, o.Tasks = away, tasks.NewClient(away) })
	user := bearer(s.login(t, mobile).Token)
	require.Equal(t, 100, s.Post("/v1/banners", map[string]any{"title": "a", "image": "/1.svg"}, asOperator).Code)
	require.Len(t, s.visible(t), 1)
	other.Stop()
	for _, a := range []answer{
		s.Post("/v1/banners", map[string]any{"title": "b", "image": "/2.svg"}, asOperator),
		s.Put("/v1/user", map[string]any{"name": "Bea"}, user),
		s.Post("/v1/articles", map[string]any{"title": "a", "content": "x"}, user),
	} {
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Raw)
	}
	require.Len(t, s.visible(t), 2, "the cache follows at once")
	require.Contains(t, string(s.Get("/v1/user", user).Data), "Bea")
}
