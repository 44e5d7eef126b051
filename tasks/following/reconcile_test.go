package following

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

func (w *world) reconcile(t *testing.T) Reconciled {
	t.Helper()
	got, err := w.Reconcile(t.Context(), nil)
	require.NoError(t, err)
	return got
}

func TestReconcile(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		require.Zero(t, w.reconcile(t))
		w.clock()
		w.bound = 5
		tests := []struct {
			name   string
			follow int // so many
			spoil  func(l list)
			repair int
			state  string // after it
		}{
			{"is true", 3, func(list) {}, 0, "whole"},
			{"is empty", 0, func(list) {}, 0, "empty"},
			{"is a part", 7, func(list) {}, 0, "more"},
			{"lacks two", 3, func(l list) { w.rdb.ZRem(ctx, l.key(), "11", "12") }, 2, "whole"},
			{"has one too many", 3, func(l list) { w.rdb.ZAdd(ctx, l.key(), redisZ(1, "77")) }, 1, "whole"},
			{"has another time", 3, func(l list) { w.rdb.ZAdd(ctx, l.key(), redisZ(1, "12")) }, 1, "whole"},
			{"says it is empty", 2, func(l list) { w.rdb.Del(ctx, l.key()); w.rdb.Set(ctx, l.state(), "empty", time.Hour) }, 2, "whole"},
			{"should be empty", 1, func(l list) { w.db.Delete(&shop.Following{}, "user_id = ?", int64(l)) }, 1, "empty"},
			{"a part that has a gap", 7, func(l list) { w.rdb.ZRem(ctx, l.key(), "15") }, 1, "more"},
			{"a part that is too new", 7, func(l list) { w.rdb.ZAdd(ctx, l.key(), redisZ(2e9, "11")) }, 1, "more"},
			{"a part that has too little", 7, func(l list) { w.rdb.ZRemRangeByRank(ctx, l.key(), 0, 1) }, 0, "more"},
			{"says it is a part", 4, func(l list) { w.rdb.Set(ctx, l.state(), "more", time.Hour) }, 1, ""},
			{"says it is whole", 7, func(l list) { w.rdb.Set(ctx, l.state(), "whole", time.Hour) }, 1, "more"},
			{"has no state", 3, func(l list) { w.rdb.Del(ctx, l.state()) }, 1, ""},
			{"has a state alone", 3, func(l list) { w.rdb.Del(ctx, l.key()) }, 1, ""},
			{"never expires", 3, func(l list) { w.rdb.Persist(ctx, l.key()) }, 1, ""},
			{"has a state that never expires", 0, func(l list) { w.rdb.Persist(ctx, l.state()) }, 1, ""},
			{"holds a word", 3, func(l list) { w.rdb.ZAdd(ctx, l.key(), redisZ(1, "me")) }, 1, ""},
			{"is a string", 3, func(l list) { w.rdb.Set(ctx, l.key(), "-1", time.Hour) }, 1, ""},
		}
		for i, test := range tests {
			user := int64(1000 + i)
			entries := make([]Entry, test.follow)
			for j := range entries {
				entries[j] = Entry{int64(11 + j), at(j)}
			}
			if len(entries) > 0 {
				w.insert(t, user, entries...)
			}
			w.pages(t, user, 10)
			require.NotEmpty(t, w.rdb.Get(ctx, list(user).state()).Val())
			test.spoil(list(user))
			got := w.reconcile(t)
			require.Equal(t, test.repair, got.Repaired, test.name)
			state, _ := w.held(t, user)
			require.Equal(t, test.state, state, test.name)
			require.NoError(t, w.differs(ctx, user), test.name)
			w.pages(t, user, 10)
		}
		reports := 0
		got, err := w.Reconcile(ctx, func(Reconciled) { reports++ })
		require.NoError(t, err)
		require.Equal(t, len(tests), got.Lists)
		require.Zero(t, got.Repaired)
		require.Positive(t, reports)
	})
}

// TestReconcileALongList has differences in several batches.
func TestReconcileALongList(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		const n = 3*compareBatch + 100
		entries := make([]Entry, n)
		for i := range entries {
			entries[i] = Entry{int64(i + 1), at(i / 3)}
		}
		w.insert(t, 1, entries...)
		w.pages(t, 1, 100)
		state, members := w.held(t, 1)
		require.Equal(t, "whole", state)
		require.Len(t, members, n)
		ctx, key := t.Context(), list(1).key()
		for i := 50; i < n; i += 100 {
			w.rdb.ZRem(ctx, key, i)
			w.rdb.ZAdd(ctx, key, redisZ(float64(i), fmt.Sprint(n+i)))
		}
		got := w.reconcile(t)
		require.Equal(t, 2*(n/100), got.Repaired)
		require.GreaterOrEqual(t, got.Checked, n-n/100)
		require.NoError(t, w.differs(ctx, 1))
	})
}

// TestReconcileTask runs it as a task.
func TestReconcileTask(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "sqlite://:memory:", embeddedURL(t))
	w.follow(t, 1, 2, 3)
	w.pages(t, 1, 10)
	require.NoError(t, w.db.Delete(&shop.Following{}, "target_id = 2").Error)
	q := taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) { Bind(m, w.Followings) }})
	made, err := ReconcileTask.Enqueue(t.Context(), q.Client, ReconcileArgs{})
	require.NoError(t, err)
	got, err := made.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, Reconciled{Lists: 1, Checked: 2, Repaired: 1}, got)
	require.NoError(t, w.differs(t.Context(), 1))
}

// TestEverybodyAtOnce has two processes write, read and reconcile, tasks come late, twice and in any order, keys vanish,
// and Redis die and come back. In the end all lists are true.
func TestEverybodyAtOnce(t *testing.T) {
	t.Parallel()
	const users, bound = 4, 12
	server := testenv.Redis(t)
	db := openDB(t, testenv.MySQL(t))
	announced := &announcer{}
	worlds := make([]*world, 2)
	for i := range worlds {
		worlds[i] = newWorld(t, db, taskstest.Connect(t, server.URL(0)), cache.StoreOptions{Announcer: announced})
		worlds[i].bound = bound
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	var all sync.WaitGroup
	forever := func(f func(w *world) error) {
		for _, w := range worlds {
			all.Go(func() {
				for ctx.Err() == nil {
					if err := f(w); err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	var writes, reads atomic.Int64
	for range 2 {
		forever(func(w *world) error {
			user, target := rand.Int64N(users)+1, rand.Int64N(20)+users+1
			writes.Add(1)
			if rand.IntN(5) < 3 {
				_, err := w.Follow(ctx, user, target)
				return err
			}
			return w.Unfollow(ctx, user, target)
		})
		forever(func(w *world) error {
			reads.Add(1)
			_, _, err := w.List(ctx, rand.Int64N(users)+1, rand.IntN(4)+1, 5)
			return err
		})
	}
	forever(func(w *world) error { // late tasks, some of them again
		list := announced.list()
		if len(list) > 0 {
			_ = w.store.Apply(ctx, "", list[rand.IntN(len(list))])
		}
		time.Sleep(time.Millisecond)
		return nil
	})
	forever(func(w *world) error {
		_, _ = w.Reconcile(ctx, nil)
		return nil
	})
	all.Go(func() { // what else can happen
		for ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
			l := list(rand.Int64N(users) + 1)
			_ = worlds[0].rdb.Del(ctx, []string{l.key(), l.state(), l.lease()}[rand.IntN(3)]).Err()
		}
	})
	time.Sleep(time.Second)
	server.Kill()
	time.Sleep(300 * time.Millisecond)
	server.Start()
	all.Wait()

	redeliver := slices.Clone(announced.list())
	rand.Shuffle(len(redeliver), func(i, j int) { redeliver[i], redeliver[j] = redeliver[j], redeliver[i] })
	for i, changes := range redeliver {
		require.Eventually(t, func() bool {
			return worlds[i%2].store.Apply(t.Context(), "", changes) == nil
		}, 20*time.Second, 10*time.Millisecond)
	}
	for user := range int64(users) {
		for _, w := range worlds {
			require.NoError(t, w.differs(t.Context(), user+1))
		}
	}
	t.Logf("%d writes, %d of them changed something; %d reads", writes.Load(), len(redeliver), reads.Load())
}
