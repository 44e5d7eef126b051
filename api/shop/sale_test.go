package shop_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
)

func (s *system) sell(t *testing.T, name string, stock int, startsIn, endsIn time.Duration) int64 {
	t.Helper()
	a := s.Post("/v1/goods", map[string]any{
		"name": name, "price": 9900, "stock": stock,
		"starts_at": time.Now().Add(startsIn), "ends_at": time.Now().Add(endsIn),
	}, asOperator)
	require.Equal(t, 100, a.Code, "%s", a.Raw)
	var row struct{ ID int64 }
	a.Into(t, &row)
	require.Positive(t, row.ID)
	return row.ID
}

func TestSeckill(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*testing.T) *system{
		"real":     func(t *testing.T) *system { return start(t) },
		"embedded": startEmbedded,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t)
			goods := s.sell(t, "键盘", 1, -time.Minute, time.Hour)
			ann, bob := s.login(t, "13800000001").Token, s.login(t, "13800000002").Token

			in := s.Post("/v1/seckill", map[string]any{"goods_id": goods}, bearer(ann))
			require.Equal(t, []any{100, "您正在排队"}, []any{in.Code, in.Msg}, "%s", in.Raw)
			byName := s.Post("/user/skill/", map[string]any{"name": "键盘"}, bearer(ann))
			require.Equal(t, []any{100, in.TaskID}, []any{byName.Code, byName.TaskID}, "asking again gives the same id")
			require.Equal(t, 103, s.Get("/v1/seckill?task_id="+in.TaskID).Code)

			late := s.Post("/v1/seckill", map[string]any{"goods_id": goods}, bearer(bob))
			require.Equal(t, []any{200, 101, "秒杀失败：已售罄", ""}, []any{late.Status, late.Code, late.Msg, late.TaskID})
			require.Contains(t, string(late.Data), `"reason_code":"sold_out"`)

			s.work(t)
			var out answer
			require.Eventually(t, func() bool {
				out = s.Get("/user/skill/?task_id=" + in.TaskID)
				return out.Code != 103 && out.Code != 102
			}, 20*time.Second, 20*time.Millisecond)
			require.Equal(t, []any{100, "秒杀成功"}, []any{out.Code, out.Msg}, "%s", out.Raw)
			require.Contains(t, string(out.Data), fmt.Sprintf(`"goods_id":%d`, goods))

			var bought answer
			require.Eventually(t, func() bool { // Redis is told right after the commit
				bought = s.Post("/v1/seckill", map[string]any{"goods_id": goods}, bearer(ann))
				return bought.Code != 100
			}, 20*time.Second, 20*time.Millisecond)
			require.Equal(t, []any{200, 101, "您已经买过了", in.TaskID}, []any{bought.Status, bought.Code, bought.Msg, bought.TaskID})
			require.Contains(t, string(bought.Data), `"reason_code":"bought"`)
			require.Equal(t, out.Raw, s.Get("/v1/seckill?task_id="+bought.TaskID).Raw, "its order is found as before")

			orders := s.Get("/v1/orders", bearer(ann))
			require.JSONEq(t, "["+string(out.Data)+"]", string(orders.Data))
			require.Equal(t, "[]", string(s.Get("/v1/orders", bearer(bob)).Data))

			more := s.Put(fmt.Sprint("/v1/goods/", goods), map[string]any{"stock": 5}, asOperator)
			require.Equal(t, 100, more.Code, "%s", more.Raw)
			require.Contains(t, string(more.Data), `"stock":5`)
			require.Equal(t, 100, s.Post("/v1/seckill", map[string]any{"goods_id": goods}, bearer(bob)).Code, "more stock sells")
		})
	}
}

func TestSeckillWhoseOrderCannotBeWritten(t *testing.T) {
	t.Parallel()
	s := start(t)
	require.NoError(t, s.db.Callback().Raw().Before("gorm:raw").Register("full", func(tx *gorm.DB) {
		if strings.HasPrefix(tx.Statement.SQL.String(), "INSERT INTO orders") {
			_ = tx.AddError(errors.New("dial tcp 10.0.0.1:3306: no space left on device"))
		}
	}))
	goods := s.sell(t, "键盘", 1, -time.Minute, time.Hour)
	in := s.Post("/v1/seckill", map[string]any{"goods_id": goods}, bearer(s.login(t, "13800000001").Token))
	require.Equal(t, 100, in.Code, "%s", in.Raw)
	s.work(t)
	outcome := func(code int) answer {
		t.Helper()
		var out answer
		require.Eventually(t, func() bool {
			out = s.Get("/v1/seckill?task_id=" + in.TaskID)
			require.NotContains(t, string(out.Raw), "10.0.0.1")
			return out.Code == code
		}, 60*time.Second, 5*time.Millisecond)
		return out
	}
	again := outcome(102)
	require.Equal(t, []any{"没成功，正在重试", in.TaskID}, []any{again.Msg, again.TaskID})
	failed := outcome(101)
	require.Equal(t, "秒杀失败：订单没有写入成功", failed.Msg)
	require.Contains(t, string(failed.Data), `"reason_code":"failed"`)
	require.Contains(t, string(s.Get("/v1/seckill?task_id="+in.TaskID, inEnglish).Data), `"reason":"the order could not be written"`)
	next := s.Post("/v1/seckill", map[string]any{"goods_id": goods}, bearer(s.login(t, "13800000002").Token))
	require.Equal(t, 100, next.Code, "the piece is free again: %s", next.Raw)
}

func TestSeckillWithALoginThatHasExpired(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	goods := s.sell(t, "键盘", 1, -time.Minute, time.Hour)
	user := s.login(t, mobile).User.ID
	expired := sign(t, jwt.SigningMethodHS256, []byte(jwtSecret), jwt.MapClaims{
		"sub": strconv.FormatInt(user, 10), "iss": "paidui", "exp": time.Now().Add(-time.Second).Unix(),
	})
	for _, path := range []string{"/v1/seckill", "/user/skill/"} {
		a := s.Post(path, map[string]any{"goods_id": goods}, bearer(expired))
		require.Equal(t, []any{401, "登录已过期，请重新登录", ""}, []any{a.Status, a.Msg, a.TaskID})
		require.Contains(t, a.Header.Get("WWW-Authenticate"), "Bearer")
	}
	admitted, err := s.broker.Redis().Exists(t.Context(), fmt.Sprintf("paidui:{seckill:%d}:admitted", goods)).Result()
	require.NoError(t, err)
	require.Zero(t, admitted, "nobody was let in")
}

func TestSeckillOutsideItsTime(t *testing.T) {
	t.Parallel()
	s := start(t)
	user := bearer(s.login(t, mobile).Token)
	early := s.sell(t, "early", 1, time.Hour, 2*time.Hour)
	over := s.sell(t, "over", 1, -2*time.Hour, -time.Hour)
	a := s.Post("/v1/seckill", map[string]any{"goods_id": early}, user)
	require.Equal(t, []any{200, 101}, []any{a.Status, a.Code})
	require.Contains(t, string(a.Data), `"reason_code":"not_started","starts_at":"2`)
	a = s.Post("/v1/seckill", map[string]any{"goods_id": over}, user, inEnglish)
	require.Equal(t, []any{200, 101, "no order: the sale is over"}, []any{a.Status, a.Code, a.Msg})
}

func TestSeckillWhileTheSaleIsLoading(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	user := bearer(s.login(t, mobile).Token)
	goods := s.sell(t, "键盘", 1, -time.Minute, time.Hour)
	loader := fmt.Sprintf("paidui:{seckill:%d}:load", goods)
	require.NoError(t, s.broker.Redis().Set(t.Context(), loader, "another process", time.Minute).Err())
	a := s.Post("/v1/seckill", map[string]any{"goods_id": goods}, user, inEnglish)
	require.Equal(t, []any{503, "the sale is being made ready, try again in a moment"}, []any{a.Status, a.Msg})
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	require.NoError(t, s.broker.Redis().Del(t.Context(), loader).Err())
	require.Equal(t, 100, s.Post("/v1/seckill", map[string]any{"goods_id": goods}, user).Code)
}

func TestGoods(t *testing.T) {
	t.Parallel()
	s := start(t)
	require.Equal(t, "[]", string(s.Get("/v1/goods").Data))
	id := s.sell(t, "键盘", 3, -time.Minute, time.Hour)
	path := fmt.Sprint("/v1/goods/", id)
	var g struct {
		Name     string
		Price    int64
		Stock    int64
		StartsAt string `json:"starts_at"`
	}
	s.Get(path).Into(t, &g)
	require.Equal(t, []any{"键盘", int64(9900), int64(3)}, []any{g.Name, g.Price, g.Stock})
	require.True(t, strings.HasSuffix(g.StartsAt, "Z"), g.StartsAt)
	require.Contains(t, string(s.Get("/v1/goods/").Data), "键盘")

	renamed := s.Put(path, map[string]any{"name": "鼠标", "price": 0}, asOperator)
	require.Equal(t, 100, renamed.Code, "%s", renamed.Raw)
	require.Contains(t, string(s.Get(path).Data), `"name":"鼠标","price":0,"stock":3`)

	s.sell(t, "键盘", 3, -time.Minute, time.Hour)
	for _, a := range []answer{
		s.Put(path, map[string]any{"name": "键盘"}, asOperator),
		s.Post("/v1/goods", map[string]any{"name": "键盘", "price": 1, "stock": 1, "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-02T00:00:00Z"}, asOperator),
	} {
		require.Equal(t, []any{409, "name"}, []any{a.Code, a.Field}, "%s", a.Raw)
	}
	ends := s.Put(path, map[string]any{"ends_at": "2001-01-01T00:00:00Z"}, asOperator)
	require.Equal(t, []any{400, "ends_at"}, []any{ends.Code, ends.Field})
	require.Equal(t, 404, s.Put("/v1/goods/999", map[string]any{"stock": 1}, asOperator).Code)
	require.Equal(t, 404, s.Get("/v1/goods/999").Code)
}

type banner struct {
	ID     int64
	Title  string
	Image  string
	Orders int
	IsShow *bool `json:"is_show"`
}

func (s *system) visible(t *testing.T) (list []banner) {
	t.Helper()
	s.Get("/home/banner/").Into(t, &list)
	return list
}

func TestBanners(t *testing.T) {
	t.Parallel()
	for _, strategy := range []cache.Strategy{cache.DeleteOnWrite, cache.UpdateOnWrite, cache.DeleteOnWrite | cache.UpdateOnWrite | cache.Periodic} {
		t.Run(strategy.String(), func(t *testing.T) {
			t.Parallel()
			s := start(t, func(o *options) { o.Features = features(t, o.DB, o.Tasks, o.Cache, strategy, testenv.Quiet()) })
			require.Empty(t, s.visible(t))
			made := s.Post("/v1/banners", map[string]any{"title": "一", "image": "/media/1.svg", "orders": 2}, asOperator)
			require.Equal(t, 100, made.Code, "%s", made.Raw)
			var row banner
			made.Into(t, &row)
			require.True(t, *row.IsShow)
			list := s.visible(t)
			require.Len(t, list, 1)
			require.Equal(t, "https://shop.example.com/media/1.svg", list[0].Image)
			require.Nil(t, list[0].IsShow)

			s.Post("/v1/banners", map[string]any{"title": "二", "image": "https://cdn.example.com/2.png", "orders": 1, "link": ""}, asOperator)
			require.Equal(t, "二", s.visible(t)[0].Title)

			path := fmt.Sprint("/v1/banners/", row.ID)
			a := s.Put(path, map[string]any{"orders": 0}, asOperator)
			require.Equal(t, 100, a.Code, "%s", a.Raw)
			require.Contains(t, string(a.Data), `"title":"一"`)
			require.Equal(t, "一", s.visible(t)[0].Title)
			require.Equal(t, 100, s.Put(path, map[string]any{"is_show": false}, asOperator).Code)
			require.Len(t, s.visible(t), 1)
			require.Equal(t, 100, s.Put(path, map[string]any{"is_show": true}, asOperator).Code)
			require.Len(t, s.visible(t), 2)

			require.Equal(t, 100, s.Delete(path, asOperator).Code)
			require.Len(t, s.visible(t), 1)
			require.Equal(t, 404, s.Delete(path, asOperator).Code)
			require.Equal(t, 404, s.Put(path, map[string]any{"orders": 0}, asOperator).Code)
		})
	}
}

func TestConcurrentBannerWritesLeaveTheCacheTrue(t *testing.T) {
	t.Parallel()
	s := start(t)
	a := s.Post("/v1/banners", map[string]any{"title": "0", "image": "/1.svg"}, asOperator)
	var row banner
	a.Into(t, &row)
	var all sync.WaitGroup
	for writer := range 4 {
		all.Go(func() {
			for i := range 10 {
				s.Put(fmt.Sprint("/v1/banners/", row.ID), map[string]any{"title": fmt.Sprint(writer, "-", i)}, asOperator)
			}
		})
		all.Go(func() {
			for range 40 {
				s.Get("/v1/banners")
			}
		})
	}
	all.Wait()
	var stored shop.Banner
	require.NoError(t, s.db.Take(&stored, row.ID).Error)
	require.Equal(t, stored.Title, s.visible(t)[0].Title)
}

// TestWithoutRedis has neither cache nor broker: what stands on the database goes on, what needs Redis is refused.
func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.Post("/v1/banners", map[string]any{"title": "a", "image": "/1.svg"}, asOperator)
	require.Equal(t, 100, made.Code)
	goods := s.sell(t, "键盘", 1, -time.Minute, time.Hour)
	user := bearer(s.login(t, mobile).Token)
	s.work(t)
	told := func() bool { return s.unapplied(t) == 0 }
	require.Eventually(t, told, time.Minute, 20*time.Millisecond) // this Redis forgets all when it stops
	s.redis.Stop()

	require.Len(t, s.visible(t), 1, "reads go on")
	require.Len(t, s.visible(t), 1)
	for i, a := range []answer{
		s.Get("/v1/goods"),
		s.Get("/v1/user", user),
		s.Get("/v1/users/1"),
		s.Post("/v1/banners", map[string]any{"title": "b", "image": "/2.svg", "orders": -1}, asOperator),
		s.Put("/v1/user", map[string]any{"name": "Bea"}, user),
		s.Post("/v1/articles", map[string]any{"title": "标题", "content": "x"}, user),
		s.Get("/v1/articles/1"),
	} {
		require.Equal(t, http.StatusOK, a.Status, "%d: %s", i, a.Raw)
	}
	require.Equal(t, "b", s.visible(t)[0].Title, "what is written is seen")
	require.Contains(t, string(s.Get("/v1/users/1").Data), "Bea")
	refused := []answer{
		s.Put(fmt.Sprint("/v1/goods/", goods), map[string]any{"stock": 9}, asOperator),
		s.Post("/v1/sms", map[string]any{"mobile": "13800000009"}),
		s.Post("/v1/login", map[string]any{"mobile": mobile, "code": "123456"}),
		s.Post("/v1/seckill", map[string]any{"goods_id": goods}, user),
		s.Post("/v1/tasks", map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}}, asOperator),
		s.Get("/v1/tasks/default_01980d5c-7a4e-7bd2-9f0e-6a4c1e0b7a11"),
		s.Get("/v1/schedules", asOperator),
	}
	for i, a := range refused {
		require.Equal(t, http.StatusServiceUnavailable, a.Status, "%d: %s", i, a.Raw)
		require.NotEmpty(t, a.Header.Get("Retry-After"))
		require.NotContains(t, string(a.Raw), "dial")
	}
	var g shop.Goods
	require.NoError(t, s.db.Take(&g, goods).Error)
	require.EqualValues(t, 1, g.Stock)

	s.redis.Start()
	require.Eventually(t, told, time.Minute, 20*time.Millisecond, "the caches are not told")
	require.Equal(t, "b", s.visible(t)[0].Title)
	require.Contains(t, string(s.Get("/v1/user", user).Data), "Bea")
}
