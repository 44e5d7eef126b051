package shop_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/shop"
)

// eachSystem runs a test on the real servers and on the embedded ones.
func eachSystem(t *testing.T, test func(t *testing.T, s *system)) {
	t.Helper()
	t.Parallel()
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(t, start(t))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, startEmbedded(t))
	})
}

func TestProfilesComeFromTheCache(t *testing.T) {
	eachSystem(t, func(t *testing.T, s *system) {
		require.Equal(t, 404, s.Get("/v1/users/1").Code, "a probe of the coming id")
		require.Equal(t, "-1", s.cache.Get(t.Context(), "user:1:profile").Val())
		in := s.login(t, mobile)
		require.EqualValues(t, 1, in.User.ID)
		public := s.Get("/v1/users/1")
		require.Equal(t, 100, public.Code, "the new user is seen at once")
		require.NoError(t, s.db.Model(&shop.User{}).Where("id = 1").Update("certi", "author").Error)
		require.Equal(t, string(public.Data), string(s.Get("/v1/users/1").Data), "the cache answers")

		own := s.Put("/v1/user", map[string]string{"name": "小明", "intro": "你好"}, bearer(in.Token))
		require.JSONEq(t, `{"id":1,"name":"小明","mobile":"13812345678","photo":"","intro":"你好","certi":"author"}`, string(own.Data))
		for _, path := range []string{"/v1/user", "/v1_0/user", "/v1/user/"} {
			require.JSONEq(t, string(own.Data), string(s.Get(path, bearer(in.Token)).Data))
		}
		require.JSONEq(t, `{"id":1,"name":"小明","photo":"","intro":"你好","certi":"author"}`, string(s.Get("/v1/users/1").Data))
		require.JSONEq(t, string(own.Data), s.cache.Get(t.Context(), "user:1:profile").Val())
	})
}

func TestAUserWhoIsGone(t *testing.T) {
	eachSystem(t, func(t *testing.T, s *system) {
		in := s.login(t, mobile)
		user := bearer(in.Token)
		require.Equal(t, 100, s.Get("/v1/user", user).Code)
		require.NoError(t, s.db.Delete(&shop.User{}, in.User.ID).Error)
		for _, a := range []answer{
			s.Put("/v1/user", map[string]string{"name": "Bea"}, user),
			s.Post("/v1/articles", map[string]string{"title": "a", "content": "x"}, user),
		} {
			require.Equal(t, http.StatusUnauthorized, a.Status, "%s", a.Raw)
		}
		// Who deletes users has the caches told, here as an operator does by hand.
		s.work(t)
		made := s.Post("/v1/tasks", map[string]any{"task": "refresh.changed", "args": map[string]any{
			"changes": []map[string]string{{"cache": "users", "id": fmt.Sprint(in.User.ID)}},
		}}, asOperator)
		require.Equal(t, 100, made.Code, "%s", made.Raw)
		require.Eventually(t, func() bool { return s.Get("/v1/user", user).Status == http.StatusUnauthorized }, time.Minute, 20*time.Millisecond)
		require.Equal(t, 404, s.Get(fmt.Sprint("/v1/users/", in.User.ID)).Code)
	})
}

func TestArticles(t *testing.T) {
	eachSystem(t, func(t *testing.T, s *system) {
		in := s.login(t, mobile)
		user := bearer(in.Token)
		require.Equal(t, 404, s.Get("/v1/articles/1").Code, "a probe of the coming id")
		content := strings.Repeat("长", 19_999) + "\n"
		made := s.Post("/v1/articles", map[string]string{"title": strings.Repeat("题", 128), "content": content}, user)
		require.Equal(t, 100, made.Code, "%s", made.Raw)
		var article struct {
			ID        int64
			UserID    int64 `json:"user_id"`
			Title     string
			Content   string
			CreatedAt time.Time `json:"created_at"`
			UpdatedAt time.Time `json:"updated_at"`
		}
		made.Into(t, &article)
		require.EqualValues(t, []any{int64(1), in.User.ID, content}, []any{article.ID, article.UserID, article.Content})
		require.WithinDuration(t, time.Now(), article.CreatedAt, time.Minute)
		require.Equal(t, article.CreatedAt, article.UpdatedAt)
		read := s.Get("/v1/articles/1")
		require.JSONEq(t, string(made.Data), string(read.Data))
		require.JSONEq(t, string(made.Data), s.cache.Get(t.Context(), "article:1:info").Val())
		tag := read.Header.Get("ETag")
		require.NotEmpty(t, tag)
		again := s.Get("/v1/articles/1", header("If-None-Match", tag))
		require.Equal(t, http.StatusNotModified, again.Status)
		require.Empty(t, again.Raw)

		second := s.Post("/articles/", map[string]string{"title": "a", "content": strings.Repeat("😀", 20_000)}, user)
		require.Equal(t, 100, second.Code, "%s", second.Raw)
		require.JSONEq(t, string(second.Data), string(s.Get("/v1/articles/2").Data))
		require.Equal(t, 404, s.Get("/v1/articles/3").Code)
	})
}

func TestRefreshAll(t *testing.T) {
	eachSystem(t, func(t *testing.T, s *system) {
		s.work(t)
		in := s.login(t, mobile)
		path := fmt.Sprint("/v1/users/", in.User.ID)
		require.Equal(t, 100, s.Get(path).Code)
		require.NoError(t, s.db.Model(&shop.User{}).Where("id = ?", in.User.ID).Update("name", "behind its back").Error)
		made := s.Post("/v1/tasks", map[string]any{"task": "refresh.all", "args": map[string]any{"cache": "users"}}, asOperator)
		require.Equal(t, 100, made.Code, "%s", made.Raw)
		done := s.Get("/v1/tasks/" + made.TaskID + "?wait=30s")
		require.Contains(t, string(done.Data), `"result":{"cache":"users","rewritten":1}`)
		require.Contains(t, string(s.Get(path).Data), "behind its back")

		unknown := s.Post("/v1/tasks", map[string]any{"task": "refresh.all", "args": map[string]any{"cache": "goods"}}, asOperator)
		failed := s.Get("/v1/tasks/"+unknown.TaskID+"?wait=30s", asOperator)
		require.Contains(t, string(failed.Data), "there are articles, banners, users")
	})
}
