package refresh_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks/refresh"
)

func TestArticles(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		s.outbox(t)
		p := s.process(t, nil, 0)
		user := s.addUser(t, "13800000001", "Ann")
		_, err := p.articles.Get(t.Context(), 1)
		require.ErrorIs(t, err, cache.ErrNull, "a probe of the coming id")
		require.Equal(t, "-1", cached(t, s.redis, "article:1:info"))

		content := strings.Repeat("长", 20_000) + "\n"
		made, err := p.articles.Create(t.Context(), user.ID, "标题", content)
		require.NoError(t, err)
		require.Equal(t, []any{int64(1), user.ID, "标题", content}, []any{made.ID, made.UserID, made.Title, made.Content})
		require.WithinDuration(t, time.Now(), made.CreatedAt, time.Minute)
		require.Equal(t, made.CreatedAt, made.UpdatedAt)
		require.Equal(t, time.UTC, made.CreatedAt.Location())
		got, err := p.articles.Get(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, made, got, "what was answered is what is read")
		require.Equal(t, "article:1:info", refresh.ArticleKey(1))
		require.Contains(t, cached(t, s.redis, "article:1:info"), `{"id":1,"user_id":1,"title":"标题","content":"长`)
		left := s.redis.PTTL(t.Context(), "article:1:info").Val()
		require.Greater(t, left, time.Hour-time.Minute)
		require.LessOrEqual(t, left, time.Hour+5*time.Minute)

		second, err := p.articles.Create(t.Context(), user.ID, "标题", content)
		require.NoError(t, err)
		require.EqualValues(t, 2, second.ID, "the same again is another article")
	})
}

func TestCreateTellsWhatElseItMakesUntrue(t *testing.T) {
	t.Parallel()
	s := realSite(t)
	s.outbox(t)
	store, err := cache.NewStore(s.redis, cache.StoreOptions{Announcer: refresh.Announcer{}, Timeout: time.Minute, Logger: testenv.Quiet()})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	noted := &notes{name: "counts"}
	store.Register(noted)
	articles := refresh.NewArticles(s.db, store, refresh.ArticleOptions{Created: func(userID int64) []cache.Change {
		return []cache.Change{{Cache: "counts", ID: fmt.Sprint(userID)}}
	}})
	user := s.addUser(t, "13800000001", "Ann")
	_, err = articles.Create(t.Context(), user.ID, "title", "content")
	require.NoError(t, err)
	require.Equal(t, []string{fmt.Sprint(user.ID)}, noted.all())
	require.Equal(t, 1, s.waiting(t), "one task for all")
}

func TestAnArticleNeedsItsAuthor(t *testing.T) {
	t.Parallel()
	s := realSite(t)
	s.outbox(t)
	p := s.process(t, nil, 0)
	_, err := p.articles.Create(t.Context(), 42, "title", "content")
	require.ErrorIs(t, err, refresh.ErrNoAuthor)
	var n int64
	require.NoError(t, s.db.Model(&models.Article{}).Count(&n).Error)
	require.Zero(t, n)
	require.Zero(t, s.waiting(t))
}

func TestClearOfArticles(t *testing.T) {
	t.Parallel()
	s := realSite(t)
	p := s.process(t, nil, 0)
	row := models.Article{UserID: 1, Title: "old", Content: "x"}
	require.NoError(t, s.db.Create(&row).Error)
	_, err := p.articles.Get(t.Context(), row.ID)
	require.NoError(t, err)
	require.NoError(t, s.db.Model(&row).Update("title", "new").Error)
	require.NoError(t, p.articles.Clear(t.Context(), row.ID))
	got, err := p.articles.Get(t.Context(), row.ID)
	require.NoError(t, err)
	require.Equal(t, "new", got.Title)
}
