package following

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestFollowAndUnfollow(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.clock()
		ctx := t.Context()
		total, all := w.pages(t, 1, 2)
		require.Zero(t, total)
		require.Empty(t, all)
		state, _ := w.held(t, 1)
		require.Equal(t, "empty", state)

		since, err := w.Follow(ctx, 1, 2)
		require.NoError(t, err)
		require.Equal(t, at(1), since)
		w.follow(t, 1, 3, 4)
		w.follow(t, 2, 1)
		again, err := w.Follow(ctx, 1, 2)
		require.NoError(t, err)
		require.Equal(t, since, again, "twice is once")

		state, members := w.held(t, 1)
		require.Equal(t, "whole", state)
		require.Equal(t, []string{"4", "3", "2"}, members)
		total, entries, err := w.List(ctx, 1, 1, 2)
		require.NoError(t, err)
		require.EqualValues(t, 3, total)
		require.Equal(t, []Entry{{4, at(3)}, {3, at(2)}}, entries)
		total, entries, err = w.List(ctx, 1, 2, 2)
		require.NoError(t, err)
		require.EqualValues(t, 3, total)
		require.Equal(t, []Entry{{2, at(1)}}, entries)
		total, entries, err = w.List(ctx, 1, MaxPage, MaxPerPage)
		require.NoError(t, err)
		require.EqualValues(t, 3, total)
		require.Empty(t, entries)

		for range 2 {
			require.NoError(t, w.Unfollow(ctx, 1, 3))
		}
		_, members = w.held(t, 1)
		require.Equal(t, []string{"4", "2"}, members)
		require.NoError(t, w.Unfollow(ctx, 1, 2))
		require.NoError(t, w.Unfollow(ctx, 1, 4))
		state, members = w.held(t, 1)
		require.Equal(t, "empty", state)
		require.Empty(t, members)
		w.follow(t, 1, 2)
		state, _ = w.held(t, 1)
		require.Equal(t, "whole", state)

		key := list(1)
		for _, k := range []string{key.key(), key.state()} {
			ttl := w.rdb.PTTL(ctx, k).Val()
			require.True(t, ttl > 50*time.Minute && ttl <= life+jitter, "%s expires in %v", k, ttl)
		}
		score := w.rdb.ZScore(ctx, "user:1:following", "2").Val()
		require.InDelta(t, float64(at(6).UnixMicro())/1e6, score, 2e-7)
	})
}

func TestWhoCannotBeFollowed(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		const nobody = math.MaxInt64
		for _, target := range []int64{nobody, crowd + 1, -1, 0} {
			_, err := w.Follow(ctx, 1, target)
			require.ErrorIs(t, err, ErrNoTarget)
			require.ErrorIs(t, w.Unfollow(ctx, 1, target), ErrNoTarget)
		}
		_, err := w.Follow(ctx, 1, 1)
		require.ErrorIs(t, err, ErrSelf)
		require.ErrorIs(t, w.Unfollow(ctx, 1, 1), ErrSelf)
		_, err = w.Follow(ctx, nobody, 1)
		require.ErrorIs(t, err, ErrNoUser)

		// What is known of users may be wrong for a moment; the database decides.
		sure := existsIn(w.db)
		w.opt.Exists = func(context.Context, int64) (bool, error) { return true, nil }
		_, err = w.Follow(ctx, 1, nobody)
		require.ErrorIs(t, err, ErrNoTarget)
		w.opt.Exists = sure

		var rows int64
		require.NoError(t, w.db.Model(&shop.Following{}).Count(&rows).Error)
		require.Zero(t, rows)

		for _, c := range [][2]int{{0, 20}, {-1, 20}, {MaxPage + 1, 20}, {1, 0}, {1, MaxPerPage + 1}} {
			_, _, err := w.List(ctx, 1, c[0], c[1])
			require.ErrorContains(t, err, "want page 1 to")
		}
	})
}

// TestOrder has entries of the same time, in Redis and in the database, on every page size.
func TestOrder(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		var want []int64
		for _, row := range []struct {
			seconds int
			targets []int64 // in the order in which they are wanted
		}{{9, []int64{9, 30, 3, 20, 2, 11, 10, 1}}, {8, []int64{4}}, {7, []int64{8, 7, 6, 5, 12}}} {
			for _, target := range row.targets {
				w.insert(t, 40, Entry{target, at(row.seconds)})
			}
			want = append(want, row.targets...)
		}
		for perPage := 1; perPage <= len(want)+1; perPage++ {
			total, all := w.pages(t, 40, perPage)
			require.EqualValues(t, len(want), total)
			require.Equal(t, want, all)
			for first := range len(want) + 1 {
				stored, err := w.rows.page(t.Context(), 40, first, perPage)
				require.NoError(t, err)
				cut := want[first:min(first+perPage, len(want))]
				require.Equal(t, cut, targetsOf(stored), "from %d, %d", first, perPage)
			}
		}
	})
}

// TestAListBeyondTheBound pages through Redis and the database, while it grows and shrinks.
func TestAListBeyondTheBound(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.clock()
		w.bound = 4
		w.follow(t, 1, 2, 3, 4, 5, 6, 7)
		check := func(state string, held []string, want ...int64) {
			t.Helper()
			got, members := w.held(t, 1)
			require.Equal(t, state, got)
			require.Equal(t, held, members)
			for _, perPage := range []int{1, 2, 3, 100} {
				total, all := w.pages(t, 1, perPage)
				require.EqualValues(t, len(want), total)
				require.Equal(t, want, all)
			}
		}
		w.pages(t, 1, 3)
		check("more", []string{"7", "6", "5", "4"}, 7, 6, 5, 4, 3, 2)
		w.follow(t, 1, 8)
		check("more", []string{"8", "7", "6", "5"}, 8, 7, 6, 5, 4, 3, 2)
		require.NoError(t, w.Unfollow(t.Context(), 1, 2))
		check("more", []string{"8", "7", "6", "5"}, 8, 7, 6, 5, 4, 3)
		require.NoError(t, w.Unfollow(t.Context(), 1, 7))
		check("more", []string{"8", "6", "5"}, 8, 6, 5, 4, 3)
		require.NoError(t, w.Apply(t.Context(), "", []string{"1:3", "1:4"}))
		check("more", []string{"8", "6", "5"}, 8, 6, 5, 4, 3)
		require.NoError(t, w.Unfollow(t.Context(), 1, 6))
		require.NoError(t, w.Unfollow(t.Context(), 1, 5))
		check("", nil, 8, 4, 3)
		check("whole", []string{"8", "4", "3"}, 8, 4, 3)
		w.follow(t, 1, 9)
		check("whole", []string{"9", "8", "4", "3"}, 9, 8, 4, 3)
		w.follow(t, 1, 10)
		check("more", []string{"10", "9", "8", "4"}, 10, 9, 8, 4, 3)
	})
}

// TestTiesAtTheBound loads a list whose bound falls among entries of one time.
func TestTiesAtTheBound(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for bound := 1; bound <= 8; bound++ {
			w.bound = bound
			user := int64(bound)
			w.insert(t, user, Entry{20, at(3)}, Entry{9, at(2)}, Entry{30, at(2)}, Entry{31, at(2)}, Entry{21, at(2)}, Entry{22, at(1)})
			want := []int64{20, 9, 31, 30, 21, 22}
			_, all := w.pages(t, user, 2)
			require.Equal(t, want, all)
			state, members := w.held(t, user)
			require.Len(t, members, min(bound, len(want)))
			for i, m := range members {
				require.Equal(t, strconv.FormatInt(want[i], 10), m)
			}
			require.Equal(t, bound < len(want), state == "more")
		}
	})
}

// TestUsersWhoFollowEachOther at the same moment, over and over.
func TestUsersWhoFollowEachOther(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() {
				for i := range 20 {
					a, b := int64(1+(worker+i)%2), int64(2-(worker+i)%2)
					if _, err := w.Follow(t.Context(), a, b); err != nil {
						t.Error(err)
					}
					if i%3 == worker%3 {
						if err := w.Unfollow(t.Context(), a, b); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		all.Wait()
	})
}

// TestChanges tells what a write announces: nothing, unless it changed a row.
func TestChanges(t *testing.T) {
	t.Parallel()
	db := openDB(t, "sqlite://:memory:")
	announced := &announcer{}
	w := newWorld(t, db, taskstest.Connect(t, embeddedURL(t)), cache.StoreOptions{Announcer: announced})
	w.opt.Counted = func(user, target int64, by int) []cache.Change {
		return []cache.Change{{Cache: "followings", ID: fmt.Sprintf("%d:%d", target, user+int64(by)+20)}}
	}
	w.follow(t, 1, 2, 2)
	require.NoError(t, w.Unfollow(t.Context(), 1, 2))
	require.NoError(t, w.Unfollow(t.Context(), 1, 2))
	require.Equal(t, [][]cache.Change{
		{{Cache: "followings", ID: "1:2"}, {Cache: "followings", ID: "2:22"}},
		{{Cache: "followings", ID: "1:2"}, {Cache: "followings", ID: "2:20"}},
	}, announced.list())
}

func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	w := openWorld(t, testenv.MySQL(t), server.URL(0))
	w.clock()
	w.follow(t, 1, 2, 3, 4)
	_, all := w.pages(t, 1, 2)
	server.Stop()
	w.follow(t, 1, 5)
	total, now := w.pages(t, 1, 2)
	require.EqualValues(t, 4, total)
	require.Equal(t, append([]int64{5}, all...), now)
	_, _, err := w.List(t.Context(), 1, AwayBound/100, 100)
	require.NoError(t, err)
	_, _, err = w.List(t.Context(), 1, AwayBound/100+1, 100)
	require.ErrorIs(t, err, ErrTooDeep)

	server.Start()
	require.NoError(t, w.Unfollow(t.Context(), 1, 3))
	require.Eventually(t, func() bool {
		_, all := w.pages(t, 1, 2)
		state, _ := w.held(t, 1)
		return state == "whole" && len(all) == 3
	}, 20*time.Second, 20*time.Millisecond)
}

// TestPoison has another program write what makes no sense.
func TestPoison(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.clock()
		w.follow(t, 1, 2, 3)
		l := list(1)
		for name, spoil := range map[string]func(){
			"state is a word":  func() { w.rdb.Set(ctx, l.state(), "half", time.Hour) },
			"state is a list":  func() { w.rdb.Del(ctx, l.state()); w.rdb.RPush(ctx, l.state(), "whole") },
			"set is a string":  func() { w.rdb.Set(ctx, l.key(), "-1", time.Hour) },
			"member is a word": func() { w.rdb.ZAdd(ctx, l.key(), redisZ(9e9-1, "nobody")) },
			"member is 0":      func() { w.rdb.ZAdd(ctx, l.key(), redisZ(9e9-1, "0")) },
			"member is 02":     func() { w.rdb.ZAdd(ctx, l.key(), redisZ(9e9-1, "02")) },
			"score is endless": func() { w.rdb.ZAdd(ctx, l.key(), redisZ(math.Inf(1), "3")) },
			"empty and not":    func() { w.rdb.Set(ctx, l.state(), "empty", time.Hour) },
			"set is gone":      func() { w.rdb.Del(ctx, l.key()) },
			"state is gone":    func() { w.rdb.Del(ctx, l.state()) },
		} {
			w.pages(t, 1, 2)
			spoil()
			_, all := w.pages(t, 1, 2)
			require.Equal(t, []int64{3, 2}, all, name)
			spoil()
			require.NoError(t, w.Apply(ctx, "", []string{"1:2"}), name)
			_, all = w.pages(t, 1, 2)
			require.Equal(t, []int64{3, 2}, all, name)
		}
	})
}

// TestForeignLeases has keys where the lease of a load should be that do not end as leases do: the list is loaded.
func TestForeignLeases(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ctx, l := t.Context(), list(1)
		w.clock()
		w.follow(t, 1, 2, 3)
		for name, spoil := range map[string]func(){
			"for ever": func() { w.rdb.Set(ctx, l.lease(), "token", 0) },
			"for long": func() { w.rdb.Set(ctx, l.lease(), "token", time.Hour) },
			"a list":   func() { w.rdb.RPush(ctx, l.lease(), "token") },
		} {
			w.rdb.Del(ctx, l.key(), l.state(), l.lease())
			spoil()
			_, all := w.pages(t, 1, 2)
			require.Equal(t, []int64{3, 2}, all, name)
			state, members := w.held(t, 1)
			require.Equal(t, "whole", state, name)
			require.Len(t, members, 2, name)
		}
	})
}

func TestChangeIDs(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "sqlite://:memory:", embeddedURL(t))
	for _, id := range []string{"", ":", "1", "1:", ":1", "1:x", "0:1", "1:-1", "1:2:3", "1:99999999999999999999"} {
		require.ErrorContains(t, w.Apply(t.Context(), "", []string{id, "1:2"}), "want <user>:<target>", id)
	}
	require.NoError(t, w.Apply(t.Context(), "", []string{"1:2", "1:3", "1:2", "2:2"}))
}
