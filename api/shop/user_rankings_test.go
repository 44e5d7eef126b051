package shop_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/counter"
)

// counts are what GET /v1/users/{id}/count answers.
func (s *system) counts(t *testing.T, user int64) (counts counter.Counts) {
	t.Helper()
	a := s.Get(fmt.Sprintf("/v1/users/%d/count", user))
	require.Equal(t, 100, a.Code, "%s", a.Raw)
	require.NoError(t, json.Unmarshal(a.Data, &counts))
	return counts
}

func TestCountsFollowWhatIsPublished(t *testing.T) {
	eachSystem(t, func(t *testing.T, s *system) {
		require.Equal(t, http.StatusNotFound, s.Get("/v1/users/1/count").Status)
		in := s.login(t, mobile)
		require.Zero(t, s.counts(t, in.User.ID))
		for n := range int64(3) {
			made := s.Post("/v1/articles", map[string]string{"title": "a", "content": "x"}, bearer(in.Token))
			require.Equal(t, 100, made.Code, "%s", made.Raw)
			require.Equal(t, counter.Counts{Articles: n + 1}, s.counts(t, in.User.ID))
			if n == 1 {
				_, err := s.features.Counters.Reconcile(t.Context())
				require.NoError(t, err)
			}
		}
		require.EqualValues(t, 3, s.cache.ZScore(t.Context(), "count:user:arts", fmt.Sprint(in.User.ID)).Val())
	})
}

func TestRankings(t *testing.T) {
	eachSystem(t, func(t *testing.T, s *system) {
		for _, kind := range []string{"articles", "followings", "followers"} {
			require.JSONEq(t, "[]", string(s.Get("/v1/rankings/"+kind).Data))
		}
		for i := range 12 {
			user := shop.User{Mobile: fmt.Sprint("m", i), Name: fmt.Sprint("user ", i+1), Photo: "/p.png"}
			require.NoError(t, s.db.Create(&user).Error)
			for range 1 + i%2 {
				require.NoError(t, s.db.Create(&shop.Article{UserID: user.ID, Title: "a"}).Error)
			}
		}
		require.NoError(t, s.db.Create(&shop.Following{UserID: 3, TargetID: 4}).Error)
		require.NoError(t, s.db.Delete(&shop.User{}, 4).Error)
		_, err := s.features.Counters.Reconcile(t.Context())
		require.NoError(t, err)
		awaited := func(ranking string) (found answer) { // the empty one is kept for a moment
			require.Eventually(t, func() bool {
				found = s.Get("/v1/rankings/" + ranking)
				return string(found.Data) != "[]"
			}, 30*time.Second, 50*time.Millisecond)
			return found
		}
		first := awaited("articles?top=3")
		require.JSONEq(t, `[
			{"rank":1,"count":2,"user":{"id":8,"name":"user 8","photo":"/p.png"}},
			{"rank":2,"count":2,"user":{"id":6,"name":"user 6","photo":"/p.png"}},
			{"rank":3,"count":2,"user":{"id":2,"name":"user 2","photo":"/p.png"}}
		]`, string(first.Data))
		var lines []counter.Ranked
		require.NoError(t, json.Unmarshal(s.Get("/v1/rankings/articles").Data, &lines))
		require.Len(t, lines, 10, "of 11")
		require.NoError(t, json.Unmarshal(awaited("followings").Data, &lines))
		require.Len(t, lines, 1)
		require.JSONEq(t, "[]", string(s.Get("/v1/rankings/followers").Data), "who is followed is gone")

		tag := first.Header.Get("ETag")
		require.NotEmpty(t, tag)
		same := s.Get("/v1/rankings/articles?top=3", header("If-None-Match", tag))
		require.Equal(t, http.StatusNotModified, same.Status)
		require.Equal(t, 100, s.Get("/v1/rankings/articles?top=2", header("If-None-Match", tag)).Code)
	})
}

func TestRankingsAndCountsRefuseWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	for _, top := range []string{"0", "-1", "1001", "x", "1.5", "99999999999999999999", "%00"} {
		for _, kind := range []string{"articles", "followings", "followers"} {
			a := s.Get("/v1/rankings/" + kind + "?top=" + top)
			require.Equal(t, http.StatusBadRequest, a.Status, top)
			require.Equal(t, "top", a.Field)
		}
	}
	require.Equal(t, http.StatusNotFound, s.Get("/v1/rankings/likes").Status)
	for _, id := range []string{"0", "-1", "x", "9223372036854775808"} {
		a := s.Get("/v1/users/" + id + "/count")
		require.Equal(t, http.StatusBadRequest, a.Status, id)
		require.Equal(t, "id", a.Field)
	}
	for _, id := range []int64{1, 1<<63 - 1} {
		require.Equal(t, http.StatusNotFound, s.Get(fmt.Sprintf("/v1/users/%d/count", id)).Status)
	}
}
