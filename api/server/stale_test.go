package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/refresh"
	"github.com/paidui/paidui/tasks/taskstest"
)

// dying is a Redis whose scripts end the request that runs them, once it is told to, as the death of the process does.
type dying struct {
	how atomic.Pointer[func() error]
}

func (d *dying) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d *dying) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if die := d.how.Load(); die != nil && slices.Contains([]string{"eval", "evalsha"}, cmd.Name()) {
			err := (*die)()
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (d *dying) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestAProcessThatDiesAfterItsCommitLeavesNoStaleBanners(t *testing.T) {
	t.Parallel()
	deaths := map[string]func() error{
		"killed":          func() error { panic(http.ErrAbortHandler) },
		"Redis goes away": func() error { return errors.New("connection reset by peer") },
	}
	for name, die := range deaths {
		for _, strategy := range []refresh.Strategy{refresh.DeleteOnWrite, refresh.UpdateOnWrite} {
			t.Run(name+", "+string(strategy), func(t *testing.T) {
				t.Parallel()
				death := &dying{}
				r := testenv.Redis(t)
				opt, err := redis.ParseURL(r.URL(2))
				require.NoError(t, err)
				rdb := redis.NewClient(opt)
				t.Cleanup(func() { require.NoError(t, rdb.Close()) })
				rdb.AddHook(death)
				s := assemble(t, testenv.MySQL(t), r.URL(1), r.URL(2), []change{func(o *server.Options) {
					o.Banners = refresh.NewBannerList(o.DB, caches(t, rdb, taskstest.Quiet()), refresh.BannerOptions{
						BackendURL: backendURL, Strategy: strategy,
					})
				}})
				var row banner
				s.post("/v1/banners", map[string]any{"title": "old", "image": "/1.svg"}, asOperator).into(t, &row)
				require.Equal(t, "old", s.visible(t)[0].Title)

				death.how.Store(&die)
				path := fmt.Sprint("/v1/banners/", row.ID)
				s.abandoned(t, http.MethodPut, path, `{"title":"new"}`)
				death.how.Store(nil)
				var stored models.Banner
				require.NoError(t, s.db.Take(&stored, row.ID).Error)
				require.Equal(t, "new", stored.Title)
				require.Contains(t, s.cache.Get(t.Context(), refresh.BannersKey).Val(), `"old"`, "nothing has told the cache yet")

				s.work(t)
				require.Eventually(t, func() bool { return s.visible(t)[0].Title == "new" }, 20*time.Second, 20*time.Millisecond)
			})
		}
	}
}

// abandoned makes an operator's request that may get no answer.
func (s *system) abandoned(t *testing.T, method, path, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.base+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	asOperator(r)
	if response, err := s.http.Do(r); err == nil {
		require.NoError(t, response.Body.Close())
	}
}

func TestABannerWriteThatCannotBeAnnouncedIsRefused(t *testing.T) {
	t.Parallel()
	other := testenv.Redis(t)
	away := taskstest.Broker(t, other.URL(0))
	s := start(t, func(o *server.Options) { o.Broker, o.Tasks = away, tasks.NewClient(away) })
	require.Equal(t, 100, s.post("/v1/banners", map[string]any{"title": "a", "image": "/1.svg"}, asOperator).Code)
	other.Stop()
	a := s.post("/v1/banners", map[string]any{"title": "b", "image": "/2.svg"}, asOperator)
	require.Equal(t, http.StatusServiceUnavailable, a.status, "%s", a.raw)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	var banners int64
	require.NoError(t, s.db.Model(&models.Banner{}).Count(&banners).Error)
	require.EqualValues(t, 1, banners)
}
