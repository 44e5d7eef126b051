package following

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) {
	testenv.RoundsUnderRace(25)
	testenv.AtOnce(6)
	testenv.Main(m)
}

// world is a database with users 1 to crowd, a Redis, and the lists over them.
type world struct {
	*Followings
	db  *gorm.DB
	rdb redis.UniversalClient
}

const crowd = 40

func openWorld(t testing.TB, dbURL, redisURL string) *world {
	t.Helper()
	return newWorld(t, openDB(t, dbURL), taskstest.Connect(t, redisURL), cache.StoreOptions{})
}

func newWorld(t testing.TB, db *gorm.DB, rdb redis.UniversalClient, opt cache.StoreOptions) *world {
	t.Helper()
	opt.Logger, opt.Timeout = testenv.Quiet(), time.Minute // a machine that stands still is no Redis that is away
	store, err := cache.NewStore(rdb, opt)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	f := New(store, db, Options{Exists: existsIn(db), Logger: testenv.Quiet()})
	f.patience = time.Minute // so that who has read a list knows that it is loaded
	return &world{f, db, rdb}
}

func openDB(t testing.TB, url string) *gorm.DB {
	t.Helper()
	db, err := models.Open(t.Context(), url, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, shop.Migrate(t.Context(), db))
	users := make([]shop.User, crowd)
	for i := range users {
		users[i] = shop.User{ID: int64(i + 1), Mobile: strconv.Itoa(13800000000 + i)}
	}
	require.NoError(t, db.Create(&users).Error)
	return db
}

func existsIn(db *gorm.DB) func(context.Context, int64) (bool, error) {
	return func(ctx context.Context, id int64) (bool, error) {
		err := db.WithContext(ctx).Select("id").Take(&shop.User{}, id).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return false, nil
		}
		return err == nil, err
	}
}

// embeddedURL is the address of an embedded Redis.
func embeddedURL(t testing.TB) string {
	t.Helper()
	e, err := embedded.Start(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e.URL(0)
}

// eachWorld runs a test on MariaDB with a real Redis, on MariaDB with a cluster, and on SQLite with the embedded Redis.
func eachWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) *world{
		"mariadb": func(t *testing.T) *world { return openWorld(t, testenv.MySQL(t), testenv.RedisURL(t)) },
		"cluster": func(t *testing.T) *world { return openWorld(t, testenv.MySQL(t), testenv.RedisCluster(t)) },
		"sqlite":  func(t *testing.T) *world { return openWorld(t, "sqlite://:memory:", embeddedURL(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// at is a time in seconds, and its own microsecond.
func at(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 123_457_000).UTC() }

// clock has each following made a second after the one before.
func (w *world) clock() {
	var n atomic.Int64
	w.now = func() time.Time { return at(int(n.Add(1))) }
}

// insert writes rows behind the back of the lists.
func (w *world) insert(t testing.TB, user int64, entries ...Entry) {
	t.Helper()
	rows := make([]shop.Following, len(entries))
	for i, e := range entries {
		rows[i] = shop.Following{UserID: user, TargetID: e.Target, CreatedAt: e.At}
	}
	require.NoError(t, w.db.CreateInBatches(rows, 5000).Error)
}

func (w *world) follow(t testing.TB, user int64, targets ...int64) {
	t.Helper()
	for _, target := range targets {
		_, err := w.Follow(t.Context(), user, target)
		require.NoError(t, err)
	}
}

// pages reads a list page by page.
func (w *world) pages(t testing.TB, user int64, perPage int) (total int64, all []int64) {
	t.Helper()
	for page := 1; ; page++ {
		n, entries, err := w.List(t.Context(), user, page, perPage)
		require.NoError(t, err)
		if len(entries) == 0 {
			return n, all
		}
		require.LessOrEqual(t, len(entries), perPage)
		all = append(all, targetsOf(entries)...)
	}
}

// held is what Redis has of a list: its state, "" without one, and the members, newest first.
func (w *world) held(t testing.TB, user int64) (state string, members []string) {
	t.Helper()
	answer, err := pageScript.Run(t.Context(), w.rdb, list(user).keys(), 0, -1).Result()
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	require.NoError(t, err)
	part, err := parsePart(answer)
	require.NoError(t, err)
	for _, e := range part.entries {
		members = append(members, e.member())
	}
	return part.state, members
}

// differs says how a list differs from its rows: what Redis holds of it, and what readers get.
func (w *world) differs(ctx context.Context, user int64) error {
	rows, err := w.rows.page(ctx, user, 0, 1e6)
	if err != nil {
		return err
	}
	answer, err := pageScript.Run(ctx, w.rdb, list(user).keys(), 0, -1).Result()
	if err == nil {
		part, err := parsePart(answer)
		if err != nil {
			return err
		}
		want := rows
		if part.state == "more" {
			want = rows[:min(len(rows), part.n)]
		}
		if !slices.Equal(part.entries, want) || part.n > w.bound {
			return fmt.Errorf("Redis has %s %v of %v, within a bound of %d", part.state, part.entries, rows, w.bound)
		}
	} else if !errors.Is(err, redis.Nil) {
		return err
	}
	perPage := min(max(2, len(rows)/20), MaxPerPage)
	for page := 1; ; page++ {
		total, entries, err := w.List(ctx, user, page, perPage)
		if err != nil {
			return err
		}
		want := rows[:min(perPage, len(rows))]
		rows = rows[len(want):]
		if !slices.Equal(entries, want) || page == 1 && int(total) != len(want)+len(rows) {
			return fmt.Errorf("page %d is %v of %d, and not %v", page, entries, total, want)
		}
		if len(want) == 0 {
			return nil
		}
	}
}
