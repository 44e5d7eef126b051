package counter

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
)

func TestChangesAreWrittenAndRead(t *testing.T) {
	t.Parallel()
	require.Equal(t, cache.Change{Cache: "counters", ID: "articles:7:+1"}, Change(Articles, 7, 1))
	require.Equal(t, cache.Change{Cache: "counters", ID: "followers:9223372036854775807:-1"}, Change(Followers, 1<<63-1, -1))
	for _, k := range Kinds() {
		got, err := parse(Change(k, 1<<63-1, -3).ID)
		require.NoError(t, err)
		require.Equal(t, change{k, 1<<63 - 1, -3}, got)
	}
	for _, bad := range []string{
		"", "articles", "articles:7", "articles:7:", "articles::+1", "likes:7:+1", "articles:0:+1", "articles:-7:+1",
		"articles:7:+1:1", "articles:x:+1", "articles:7:x", "articles:9223372036854775808:+1", "articles:7:99999999999",
	} {
		_, err := parse(bad)
		require.Error(t, err, bad)
	}
	byKind, err := sumByUser([]string{"articles:7:+1", "articles:8:+1", "followers:7:+1", "articles:7:-1", "?"})
	require.ErrorContains(t, err, `"?"`)
	require.Equal(t, map[Kind][]share{Articles: {{7, 0}, {8, 1}}, Followers: {{7, 1}}}, byKind)
}

func TestTheIDOfATaskTellsItsTime(t *testing.T) {
	t.Parallel()
	first, second := originOf(tasks.NewID("cache")), originOf(tasks.NewID("cache"))
	require.InDelta(t, timeNow(), first.at, 60_000)
	require.NotEqual(t, first.mark(1), second.mark(1))
	require.NotEqual(t, first.mark(1), first.mark(2))
	for _, chosen := range []string{"", "my-first", "cache_6ba7b810-9dad-41d1-80b4-00c04fd430c8"} {
		require.Zero(t, originOf(chosen).at, chosen)
	}
}

func TestChangesAreCountedOnceByTheWriterAndByTheTask(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		users := s.users(t, 3)
		_, err := s.counters.Reconcile(t.Context())
		require.NoError(t, err)
		s.publish(t, users[0], 3)
		require.NoError(t, s.follow(users[0], users[1], true))
		require.NoError(t, s.follow(users[2], users[1], true))
		require.NoError(t, s.follow(users[0], users[2], true))
		require.NoError(t, s.follow(users[0], users[2], false))
		s.requireTrue(t)
		counts, err := s.counters.Of(t.Context(), users[0])
		require.NoError(t, err)
		require.Equal(t, Counts{Articles: 3, Followings: 1}, counts)
		require.Equal(t, map[string]string{"articles": "3", "followings": "1", "followers": "0"},
			s.rdb.HGetAll(t.Context(), CountsKey(users[0])).Val())

		s.publish(t, users[0], 1)
		counts, err = s.counters.Of(t.Context(), users[0])
		require.NoError(t, err)
		require.EqualValues(t, 4, counts.Articles, "what was cached is not told after a change")

		s.work(t) // applies all of them again
		s.ended(t)
		s.requireTrue(t)
		_, shared := s.process(t)
		counts, err = shared.Of(t.Context(), users[1])
		require.NoError(t, err)
		require.Equal(t, Counts{Followers: 2}, counts)
	})
}

func TestChangesOfATaskCountOnceHoweverTheyCome(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		users := s.users(t, 2)
		_, err := s.counters.Reconcile(t.Context())
		require.NoError(t, err)
		less, more := tasks.NewID("cache"), tasks.NewID("cache")
		value := func() float64 { return s.rdb.ZScore(t.Context(), Articles.Key(), fmt.Sprint(users[0])).Val() }
		for range 3 {
			together(4, func(int) {
				require.NoError(t, s.counters.Apply(t.Context(), less, []string{fmt.Sprintf("articles:%d:-1", users[0])}))
			})
			require.Zero(t, value(), "never below zero")
		}
		counts, err := s.counters.Of(t.Context(), users[0])
		require.NoError(t, err)
		require.Zero(t, counts)
		ids := []string{fmt.Sprintf("articles:%d:+2", users[0]), fmt.Sprintf("articles:%d:+1", users[1]), "nonsense"}
		for range 3 {
			rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
			require.ErrorContains(t, s.counters.Apply(t.Context(), more, ids), "nonsense")
			require.EqualValues(t, 1, value(), "what was below zero is not forgotten")
		}
		require.NoError(t, s.counters.Apply(t.Context(), more, nil))
	})
}

// TestMarksTakeLittle holds the figure that package's documentation gives.
func TestMarksTakeLittle(t *testing.T) {
	t.Parallel()
	s := openReal(t)
	_, err := s.counters.Reconcile(t.Context())
	require.NoError(t, err)
	used := func() float64 {
		text := s.rdb.Info(t.Context(), "memory").Val()
		var n float64
		for line := range splitLines(text) {
			if _, err := fmt.Sscanf(line, "used_memory:%f", &n); err == nil {
				return n
			}
		}
		require.Fail(t, "Redis does not tell its memory")
		return 0
	}
	before := used()
	const buckets, each = 200, 320 // as of 10,000 changes a second
	at := timeNow() - 10_000
	pipe := s.rdb.Pipeline()
	for i := range buckets * each {
		o := origin{at: at + int64(i/each*bucketWidth), random: rand.Uint64() & (1<<62 - 1)}
		pipe.SAdd(t.Context(), o.bucket(Articles), o.mark(7))
		pipe.PExpireAt(t.Context(), o.bucket(Articles), msTime(o.expiry()))
		if i%5000 == 0 {
			_, err := pipe.Exec(t.Context())
			require.NoError(t, err)
		}
	}
	_, err = pipe.Exec(t.Context())
	require.NoError(t, err)
	per := (used() - before) / (buckets * each)
	t.Logf("%.1f bytes for a mark", per)
	require.Less(t, per, 16.0)
}

func TestUsersWhoAreGoneAreRemoved(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		users := s.users(t, 2)
		s.publish(t, users[0], 2)
		s.publish(t, users[1], 1)
		ctx := t.Context()
		for _, member := range []string{"999999", "nobody", "0", "07", fmt.Sprint(users[0]) + " "} {
			require.NoError(t, s.rdb.ZAdd(ctx, Articles.Key(), zOf(5, member)).Err())
		}
		require.NoError(t, s.db.Delete(&shop.User{}, users[1]).Error)
		result, err := s.counters.Reconcile(ctx)
		require.NoError(t, err)
		s.requireTrue(t)
		require.EqualValues(t, 1, result.Users)
		require.GreaterOrEqual(t, result.Removed.Articles, int64(5))
	})
}
