package articles_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/articles"
	"github.com/paidui/paidui/tasks/refresh/refreshtest"
)

func TestArticles(t *testing.T) {
	refreshtest.Each(t, func(t *testing.T, s refreshtest.Site) {
		s.Outbox(t)
		p := articles.New(s.DB, s.Store(t, nil), articles.Options{})
		user := s.AddUser(t, "13800000001", "Ann")
		_, err := p.Get(t.Context(), 1)
		require.ErrorIs(t, err, cache.ErrNull, "a probe of the coming id")
		require.Equal(t, "-1", refreshtest.Cached(t, s.Redis, "article:1:info"))

		content := strings.Repeat("长", 20_000) + "\n"
		made, err := p.Create(t.Context(), user.ID, "标题", content)
		require.NoError(t, err)
		require.Equal(t, []any{int64(1), user.ID, "标题", content}, []any{made.ID, made.UserID, made.Title, made.Content})
		require.WithinDuration(t, time.Now(), made.CreatedAt, time.Minute)
		require.Equal(t, made.CreatedAt, made.UpdatedAt)
		require.Equal(t, time.UTC, made.CreatedAt.Location())
		got, err := p.Get(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, made, got, "what was answered is what is read")
		require.Equal(t, "article:1:info", articles.Key(1))
		require.Contains(t, refreshtest.Cached(t, s.Redis, "article:1:info"), `{"id":1,"user_id":1,"title":"标题","content":"长`)
		left := s.Redis.PTTL(t.Context(), "article:1:info").Val()
		require.Greater(t, left, time.Hour-time.Minute)
		require.LessOrEqual(t, left, time.Hour+5*time.Minute)

		second, err := p.Create(t.Context(), user.ID, "标题", content)
		require.NoError(t, err)
		require.EqualValues(t, 2, second.ID, "the same again is another article")
	})
}

func TestCreateTellsWhatElseItMakesUntrue(t *testing.T) {
	t.Parallel()
	s := refreshtest.Real(t)
	s.Outbox(t)
	store := s.Store(t, nil)
	noted := refreshtest.NewApplier("counts")
	store.Register(noted)
	list := articles.New(s.DB, store, articles.Options{Created: func(userID int64) []cache.Change {
		return []cache.Change{{Cache: "counts", ID: fmt.Sprint(userID)}}
	}})
	user := s.AddUser(t, "13800000001", "Ann")
	_, err := list.Create(t.Context(), user.ID, "title", "content")
	require.NoError(t, err)
	require.Equal(t, []string{fmt.Sprint(user.ID)}, noted.IDs())
	require.Equal(t, 1, s.Waiting(t), "one task for all")
}

func TestAnArticleNeedsItsAuthor(t *testing.T) {
	t.Parallel()
	s := refreshtest.Real(t)
	s.Outbox(t)
	p := articles.New(s.DB, s.Store(t, nil), articles.Options{})
	_, err := p.Create(t.Context(), 42, "title", "content")
	require.ErrorIs(t, err, articles.ErrNoAuthor)
	var n int64
	require.NoError(t, s.DB.Model(&shop.Article{}).Count(&n).Error)
	require.Zero(t, n)
	require.Zero(t, s.Waiting(t))
}

func TestClearOfArticles(t *testing.T) {
	t.Parallel()
	s := refreshtest.Real(t)
	p := articles.New(s.DB, s.Store(t, nil), articles.Options{})
	row := shop.Article{UserID: 1, Title: "old", Content: "x"}
	require.NoError(t, s.DB.Create(&row).Error)
	_, err := p.Get(t.Context(), row.ID)
	require.NoError(t, err)
	require.NoError(t, s.DB.Model(&row).Update("title", "new").Error)
	require.NoError(t, p.Clear(t.Context(), row.ID))
	got, err := p.Get(t.Context(), row.ID)
	require.NoError(t, err)
	require.Equal(t, "new", got.Title)
}
