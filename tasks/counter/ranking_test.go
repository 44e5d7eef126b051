package counter

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
)

// crowd makes users, and gives each of them 0 to 4 articles, so that there are many ties.
func (s *site) crowd(t *testing.T, n int) []Place {
	t.Helper()
	var places []Place
	var rows []shop.Article
	for i, u := range s.users(t, n) {
		count := i % 5
		for range count {
			rows = append(rows, shop.Article{UserID: u, Title: "t"})
		}
		if count > 0 {
			places = append(places, Place{u, int64(count)})
		}
	}
	require.NoError(t, s.db.CreateInBatches(rows, 1000).Error)
	slices.SortFunc(places, func(a, b Place) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		if strconv.FormatInt(a.User, 10) > strconv.FormatInt(b.User, 10) {
			return -1
		}
		return 1
	})
	return places
}

// lines are the places of those who are there.
func lines(places []Place, gone ...int64) []Ranked {
	var list []Ranked
	for _, p := range places {
		if !slices.Contains(gone, p.User) {
			list = append(list, Ranked{len(list) + 1, p.Count, RankedUser{ID: p.User, Name: fmt.Sprintf("user %d", p.User-1)}})
		}
	}
	return list
}

func TestRankingsAreTheSameFromRedisAndFromTheDatabase(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		places := s.crowd(t, 150)
		gone := []int64{places[0].User, places[7].User, places[40].User}
		for _, built := range []bool{false, true} {
			if built {
				_, err := s.counters.Reconcile(ctx)
				require.NoError(t, err)
			}
			for _, k := range Kinds() {
				fromRedis, err := s.counters.ranked(ctx, k, 0, MaxTop)
				if !built {
					require.ErrorIs(t, err, errUnbuilt)
					continue
				}
				require.NoError(t, err)
				fromDatabase, err := s.counters.db.top(ctx, k, MaxTop)
				require.NoError(t, err)
				require.Equal(t, fromRedis, append([]Place{}, fromDatabase...))
			}
			_, c := s.process(t)
			top, err := c.top(ctx, Articles, MaxTop)
			require.NoError(t, err)
			require.Equal(t, lines(places), top)
			part, err := c.top(ctx, Articles, 7)
			require.NoError(t, err)
			require.Equal(t, top[:7], part)
		}
		require.NoError(t, s.db.Delete(&shop.User{}, gone).Error)
		_, c := s.process(t)
		require.NoError(t, c.profiles.Clear(ctx, gone...))
		top, err := c.top(ctx, Articles, 20)
		require.NoError(t, err)
		require.Equal(t, lines(places, gone...)[:20], top, "the next take the places of those who are gone")
	})
}

func TestRankingsAreEncodedWithATagOfTheirOwn(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		places := s.crowd(t, 20)
		tags := map[string]bool{}
		for _, n := range []int{1, 2, 5, 15, 16, 17, MaxTop} {
			data, tag, err := s.counters.EncodedTop(t.Context(), Articles, n)
			require.NoError(t, err)
			var got []Ranked
			require.NoError(t, json.Unmarshal(data, &got))
			require.Equal(t, lines(places)[:min(n, 16)], got)
			require.Regexp(t, `^"[\w-]+"$`, tag)
			tags[tag] = true
		}
		require.Len(t, tags, 5, "those of 16, and of more, are the same")
		data, tag, err := s.counters.EncodedTop(t.Context(), Followers, 5)
		require.NoError(t, err)
		require.Equal(t, "[]", string(data))
		require.NotEmpty(t, tag)
		for _, n := range []int{0, -1, MaxTop + 1} {
			_, err := s.counters.top(t.Context(), Articles, n)
			require.Error(t, err)
		}
		_, err = s.counters.top(t.Context(), "likes", 5)
		require.Error(t, err)
	})
}

func TestRankingsAreReadOnceASecond(t *testing.T) {
	t.Parallel()
	s := openReal(t)
	s.crowd(t, 20)
	_, err := s.counters.Reconcile(t.Context())
	require.NoError(t, err)
	var count counting
	s.rdb.AddHook(&count)
	together(50, func(int) {
		for range 20 {
			_, err := s.counters.top(t.Context(), Articles, 10)
			require.NoError(t, err)
		}
	})
	require.Less(t, count.evals(), 20, "of 1,000")
}

// TestWithoutRedis holds that counts and rankings come from a replica, or else from the database.
func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	s := openReal(t)
	places := s.crowd(t, 20)
	_, err := s.counters.Reconcile(t.Context())
	require.NoError(t, err)
	first := places[0]
	replica := s.replica(t)
	s.server.Stop()
	for name, with := range map[string]redis.UniversalClient{"a replica": replica, "the database": nil} {
		store, err := cache.NewStore(s.rdb, cache.StoreOptions{Replica: with, Logger: testenv.Quiet()})
		require.NoError(t, err)
		t.Cleanup(store.Close)
		c := s.over(store)
		counts, err := c.Of(t.Context(), first.User)
		require.NoError(t, err, name)
		require.Equal(t, Counts{Articles: first.Count}, counts)
		top, err := c.top(t.Context(), Articles, MaxTop)
		require.NoError(t, err, name)
		require.Equal(t, lines(places), top)
		begun := time.Now()
		for range 20 {
			_, err = c.Of(t.Context(), first.User)
			require.NoError(t, err)
		}
		require.Less(t, time.Since(begun), 15*time.Second, name)
	}
	// Counting fails, and is quick about it: the task will do it.
	store, err := cache.NewStore(s.rdb, cache.StoreOptions{Logger: testenv.Quiet()})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.ErrorIs(t, s.over(store).Apply(ctx, "x", []string{Change(Articles, 1, 1).ID}), cache.ErrAway)
}
