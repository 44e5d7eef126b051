package shop_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/counter"
)

type followingPage struct {
	Page       int
	PerPage    int `json:"per_page"`
	Total      int
	Followings []struct {
		ID         int64
		Name       string
		Photo      string
		Intro      string
		FollowedAt time.Time `json:"followed_at"`
	}
}

func (p followingPage) ids() (ids []int64) {
	for _, f := range p.Followings {
		ids = append(ids, f.ID)
	}
	return ids
}

func (s *system) followings(t *testing.T, query string, who with) (p followingPage) {
	t.Helper()
	a := s.Get("/v1/followings"+query, who)
	require.Equal(t, 100, a.Code, "%s", a.Raw)
	a.Into(t, &p)
	return p
}

// crowd logs so many users in, whose ids are 1 and so on.
func (s *system) crowd(t *testing.T, n int) (tokens []with) {
	t.Helper()
	for i := range n {
		in := s.login(t, strconv.Itoa(13800000000+i))
		require.EqualValues(t, i+1, in.User.ID)
		tokens = append(tokens, bearer(in.Token))
	}
	return tokens
}

func (s *system) requireCounts(t *testing.T, user int64, want counter.Counts) {
	t.Helper()
	got, err := s.features.Counters.Of(t.Context(), user)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestFollowings(t *testing.T) {
	eachSystem(t, func(t *testing.T, s *system) {
		s.work(t)
		users := s.crowd(t, 4)
		ann := users[0]
		require.Equal(t, 100, s.Put("/v1/user", map[string]string{"name": "小明", "intro": "你好", "photo": "/media/a.png"}, users[1]).Code)
		s.requireCounts(t, 1, counter.Counts{})
		s.requireCounts(t, 2, counter.Counts{})
		require.JSONEq(t, `{"page":1,"per_page":20,"total":0,"followings":[]}`, string(s.Get("/v1/followings", ann).Data))

		first := s.Post("/v1/followings/2", nil, ann)
		require.Equal(t, 100, first.Code, "%s", first.Raw)
		again := s.Post("/followings/2/", nil, ann)
		require.JSONEq(t, string(first.Data), string(again.Data), "twice is once")
		for _, id := range []string{"3", "4"} {
			require.Equal(t, 100, s.Post("/v1/followings/"+id, nil, ann).Code)
		}
		require.Equal(t, 100, s.Post("/v1/followings/1", nil, users[1]).Code)

		s.requireCounts(t, 1, counter.Counts{Followings: 3, Followers: 1})
		s.requireCounts(t, 2, counter.Counts{Followings: 1, Followers: 1})

		page := s.followings(t, "", ann)
		require.Equal(t, []int64{4, 3, 2}, page.ids())
		require.Equal(t, 3, page.Total)
		last := page.Followings[2]
		require.Equal(t, []string{"小明", "/media/a.png", "你好"}, []string{last.Name, last.Photo, last.Intro})
		require.Contains(t, string(first.Data), last.FollowedAt.Format(time.RFC3339Nano))
		require.NotContains(t, fmt.Sprint(page), "138000", "numbers are nobody's business")

		page = s.followings(t, "?page=2&per_page=2", ann)
		require.Equal(t, []int64{2}, page.ids())
		require.Equal(t, []int{2, 2, 3}, []int{page.Page, page.PerPage, page.Total})
		require.Empty(t, s.followings(t, "?page=1000000&per_page=100", ann).ids())

		for range 2 {
			a := s.Delete("/v1/followings/3", ann)
			require.JSONEq(t, `{"user_id":3}`, string(a.Data), "%s", a.Raw)
		}
		s.requireCounts(t, 1, counter.Counts{Followings: 2, Followers: 1})
		require.Equal(t, []int64{4, 2}, s.followings(t, "", ann).ids())
		require.Equal(t, []int64{1}, s.followings(t, "", users[1]).ids())
		require.Equal(t, []string{"4", "2"}, s.cache.ZRevRange(t.Context(), "user:1:following", 0, -1).Val())

		// The tasks of all changes have nothing left to do, and so does a reconciliation.
		require.Eventually(t, func() bool {
			var waiting int64
			return s.db.Model(&models.OutboxRow{}).Count(&waiting).Error == nil && waiting == 0
		}, 20*time.Second, 20*time.Millisecond)
		made := s.Post("/v1/tasks", map[string]any{"task": "refresh.followings", "args": map[string]any{}}, asOperator)
		require.Equal(t, 100, made.Code, "%s", made.Raw)
		done := s.Get("/v1/tasks/" + made.TaskID + "?wait=20s")
		require.Contains(t, string(done.Data), `"result":{"lists":2,"checked":3,"repaired":0}`)
		require.Equal(t, []int64{4, 2}, s.followings(t, "", ann).ids())
	})
}

func TestFollowingsBadInput(t *testing.T) {
	eachSystem(t, func(t *testing.T, s *system) {
		users := s.crowd(t, 2)
		gone := s.login(t, mobile)
		require.NoError(t, s.db.Delete(&shop.User{}, gone.User.ID).Error)
		const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
		type test struct {
			method, path string
			who          with
			status       int
			field        string
		}
		tests := []test{
			{get, "/v1/followings", nil, 401, ""},
			{get, "/v1/followings", asOperator, 401, ""},
			{post, "/v1/followings", users[0], 405, ""},
			{post, "/v1/followings/2", bearer(gone.Token), 401, ""},
		}
		for _, method := range []string{post, del} {
			for _, path := range []string{"/v1/followings/", "/followings/"} {
				tests = append(tests, test{method, path + "2", nil, 401, ""}, test{method, path + "1", users[0], 400, "user_id"})
				for _, id := range []string{"0", "-1", "1.0", "1e3", "2x", "%20", "9223372036854775808", "99999999999999999999999", "2;3"} {
					tests = append(tests, test{method, path + id, users[0], 400, "user_id"})
				}
				for _, id := range []string{"987654", "9223372036854775807", strconv.FormatInt(gone.User.ID, 10)} {
					tests = append(tests, test{method, path + id, users[0], 404, "user_id"})
				}
			}
		}
		for name, values := range map[string][]string{
			"page":     {"0", "-1", "1000001", "1.5", "x", "1e3", "99999999999999999999", "%31%00"},
			"per_page": {"0", "-1", "101", "10000", "all", "99999999999999999999"},
		} {
			for _, value := range values {
				tests = append(tests, test{get, "/v1/followings?" + name + "=" + value, users[0], 400, name})
			}
		}
		for _, test := range tests {
			var who []with
			if test.who != nil {
				who = append(who, test.who)
			}
			a := s.Do(test.method, test.path, nil, who...)
			require.Equal(t, []any{test.status, test.field}, []any{a.Code, a.Field}, "%s %s: %s", test.method, test.path, a.Raw)
			require.Regexp(t, `\p{Han}`, a.Msg)
			a = s.Do(test.method, test.path, nil, append(who, inEnglish)...)
			require.Equal(t, []any{test.status, test.field}, []any{a.Code, a.Field}, "%s", a.Raw)
			require.NotRegexp(t, `\p{Han}`, a.Msg)
		}
		for _, model := range []any{&shop.Following{}, &models.OutboxRow{}} {
			var n int64
			query := s.db.Model(model)
			if _, outbox := model.(*models.OutboxRow); outbox { // logins have made tasks of their own
				query = query.Where("body LIKE ?", "%followings%")
			}
			require.NoError(t, query.Count(&n).Error)
			require.Zero(t, n, "%T", model)
		}
		// Made-up ids leave no lists behind.
		keys, err := s.cache.Keys(t.Context(), "*following*").Result()
		require.NoError(t, err)
		require.Empty(t, strings.Join(keys, " "))
	})
}

// TestFollowingsWithoutRedis goes on from the database, and catches up.
func TestFollowingsWithoutRedis(t *testing.T) {
	t.Parallel()
	s := start(t)
	users := s.crowd(t, 3)
	require.Equal(t, 100, s.Post("/v1/followings/2", nil, users[0]).Code)
	require.Equal(t, []int64{2}, s.followings(t, "", users[0]).ids())
	s.redis.Kill()
	require.Equal(t, 100, s.Post("/v1/followings/3", nil, users[0]).Code)
	require.Equal(t, []int64{3, 2}, s.followings(t, "", users[0]).ids())
	deep := s.Get("/v1/followings?page=101&per_page=100", users[0])
	require.Equal(t, http.StatusServiceUnavailable, deep.Code)
	require.NotEmpty(t, deep.Header.Get("Retry-After"))
	s.redis.Start()
	require.Equal(t, 100, s.Delete("/v1/followings/2", users[0]).Code)
	require.Eventually(t, func() bool {
		return len(s.followings(t, "", users[0]).ids()) == 1 && s.cache.ZCard(t.Context(), "user:1:following").Val() == 1
	}, 20*time.Second, 50*time.Millisecond)
}
