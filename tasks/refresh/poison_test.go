package refresh_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/articles"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/profiles"
	"github.com/paidui/paidui/tasks/refresh/refreshtest"
)

// TestWhatIsNotOursIsReplaced has JSON under the keys that decodes, as that of another row, or of another program.
func TestWhatIsNotOursIsReplaced(t *testing.T) {
	t.Parallel()
	s := realSite(t)
	s.Outbox(t)
	user := s.AddUser(t, "13800000001", "Ann")
	writer := s.process(t, nil, 0)
	article, err := writer.articles.Create(t.Context(), user.ID, "title", "content")
	require.NoError(t, err)
	for _, poison := range []string{"null", "{}", "[]", "[{}]", `{"id":999,"user_id":1,"name":"Bob"}`} {
		for _, key := range []string{profiles.Key(user.ID), articles.Key(article.ID), banners.Key} {
			if key == banners.Key && poison == "[]" {
				continue // there are none
			}
			require.NoError(t, s.Redis.Set(t.Context(), key, poison, time.Hour).Err())
		}
		p := s.process(t, nil, 0) // that has read nothing before
		profile, err := p.profiles.Get(t.Context(), user.ID)
		require.NoError(t, err)
		require.Equal(t, "Ann", profile.Name, poison)
		got, err := p.articles.Get(t.Context(), article.ID)
		require.NoError(t, err)
		require.Equal(t, article, got, poison)
		list, err := p.banners.Get(t.Context())
		require.NoError(t, err)
		require.Empty(t, list, poison)
		require.Equal(t, "[]", refreshtest.Cached(t, s.Redis, banners.Key))
	}
}
