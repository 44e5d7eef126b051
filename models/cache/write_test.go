package cache

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

// rows is a cache of users over a real database.
func rows(s *Store, db *gorm.DB, strategy Strategy) *Cache[int64, user] {
	return New(s, Config[int64, user]{
		Name:     "users",
		Key:      func(id int64) string { return "user:" + formatID(id) + ":profile" },
		Strategy: strategy,
		Load: func(ctx context.Context, ids []int64) (map[int64]user, error) {
			var found []shop.User
			err := db.WithContext(ctx).Find(&found, ids).Error
			all := make(map[int64]user)
			for _, u := range found {
				all[u.ID] = user{u.Name}
			}
			return all, err
		},
	})
}

func openDB(t testing.TB, url string) *gorm.DB {
	t.Helper()
	db, err := models.Open(t.Context(), url, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, shop.Migrate(t.Context(), db))
	return db
}

// announced keeps what was to be announced.
type announced struct {
	changes [][]Change
	err     error
}

func (a *announced) Announce(_ context.Context, _ *gorm.DB, changes []Change) (string, error) {
	a.changes = append(a.changes, changes)
	return "task", a.err
}

func TestWrite(t *testing.T) {
	t.Parallel()
	for _, strategy := range []Strategy{DeleteOnWrite, UpdateOnWrite, DeleteOnWrite | UpdateOnWrite} {
		t.Run(strategy.String(), func(t *testing.T) {
			t.Parallel()
			db := openDB(t, "sqlite://"+t.TempDir()+"/paidui.db")
			tasks := &announced{}
			s := open(t, connect(t, "redis://"+miniredis.RunT(t).Addr()), func(o *StoreOptions) { o.Announcer = tasks })
			c := rows(s, db, strategy)
			require.NoError(t, db.Create(&shop.User{ID: 7, Name: "old"}).Error)
			name := func() string {
				u, err := c.Get(t.Context(), 7)
				require.NoError(t, err)
				return u.Name
			}
			rename := func(db *gorm.DB, to string, then error) error {
				return s.Write(t.Context(), db, func(tx *gorm.DB) ([]Change, error) {
					err := tx.Model(&shop.User{ID: 7}).Update("name", to).Error
					return c.Changes(7), errors.Join(err, then)
				})
			}
			require.Equal(t, "old", name())
			require.NoError(t, rename(db, "new", nil))
			require.Equal(t, "new", name())
			require.Equal(t, [][]Change{{{"users", "7"}}}, tasks.changes)

			failed := errors.New("no")
			require.ErrorIs(t, rename(db, "wrong", failed), failed)
			require.Len(t, tasks.changes, 1)
			require.NoError(t, s.Write(t.Context(), db, func(*gorm.DB) ([]Change, error) { return nil, nil }))
			require.Len(t, tasks.changes, 1, "nothing has changed")

			err := db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, rename(tx, "newer", nil))
				return failed
			})
			require.ErrorIs(t, err, failed)
			require.Equal(t, "new", name(), "it was not applied")
			require.NoError(t, db.Transaction(func(tx *gorm.DB) error { return rename(tx, "newest", nil) }))
			tasks.err = failed
			require.ErrorIs(t, rename(db, "never announced", nil), failed)
		})
	}
}

func TestAWriteOfMoreChangesThanATaskTakes(t *testing.T) {
	t.Parallel()
	db := openDB(t, "sqlite://"+t.TempDir()+"/paidui.db")
	tasks := &announced{}
	rdb := connect(t, testenv.RedisURL(t))
	s := open(t, rdb, func(o *StoreOptions) { o.Announcer = tasks })
	c := rows(s, db, DeleteOnWrite)
	const many = 2*MaxChanges + 1
	ids, keys := make([]int64, many), make([]string, many)
	values := make([]any, 0, 2*many)
	for i := range ids {
		ids[i] = int64(i + 1)
		keys[i] = c.cfg.Key(ids[i])
		values = append(values, keys[i], null)
	}
	require.NoError(t, rdb.MSet(t.Context(), values...).Err())

	require.NoError(t, s.Write(t.Context(), db, func(*gorm.DB) ([]Change, error) { return c.Changes(ids...), nil }))
	require.Len(t, tasks.changes, 3)
	require.Equal(t, c.Changes(ids...), slices.Concat(tasks.changes...))
	for _, some := range tasks.changes {
		require.LessOrEqual(t, len(some), MaxChanges)
		testenv.Eventually(t, func() bool { return s.Apply(t.Context(), "task", some) == nil }, "a task of it is not done")
	}
	require.Zero(t, rdb.Exists(t.Context(), keys...).Val())
}

// failing is an applier that never can.
type failing struct{ err error }

func (failing) Name() string                                    { return "failing" }
func (f failing) Apply(context.Context, string, []string) error { return f.err }

func TestMalformedChangesKeepNoOthersBack(t *testing.T) {
	t.Parallel()
	for _, strategy := range []Strategy{DeleteOnWrite, UpdateOnWrite} {
		t.Run(strategy.String(), func(t *testing.T) {
			t.Parallel()
			rdb := connect(t, "redis://"+miniredis.RunT(t).Addr())
			s := open(t, rdb)
			down := errors.New("not now")
			s.Register(failing{down})
			texts := New(s, Config[string, string]{
				Name: "texts", Key: func(id string) string { return "text:" + id }, Strategy: strategy,
				Load: func(_ context.Context, ids []string) (map[string]string, error) {
					return map[string]string{"a": "new"}, nil
				},
			})
			numbers := users(s, newTable(nil))
			require.NoError(t, rdb.Set(t.Context(), "text:a", `"old"`, 0).Err())

			changes := append(texts.Changes("{", "a"), numbers.Changes(7)...)
			changes = append(changes, Change{"users", "x"})
			err := s.Apply(t.Context(), "task", changes)
			var bad *MalformedError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, "{", bad.ID)
			require.ErrorContains(t, err, `change "x"`)
			require.True(t, Malformed(err), "all that can be done is done")
			got, err := texts.Get(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, "new", got)

			for _, more := range []Change{{"failing", "1"}, {"unknown", "1"}} {
				err = s.Apply(t.Context(), "task", append(changes, more))
				require.ErrorAs(t, err, &bad)
				require.False(t, Malformed(err), "%s may be applied another time", more.Cache)
			}
			require.False(t, Malformed(s.Apply(t.Context(), "task", texts.Changes("a"))))
		})
	}
}
