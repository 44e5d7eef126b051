package counter

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
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
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/profiles"
	"github.com/paidui/paidui/tasks/refresh"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) {
	testenv.RoundsUnderRace(25)
	testenv.AtOnce(6)
	testenv.Main(m)
}

// patience bounds waits that a healthy system ends much earlier.
const patience = 30 * time.Second

// site is a database and a Redis with all that counters need.
type site struct {
	db       *gorm.DB
	rdb      redis.UniversalClient
	broker   *broker.Broker
	client   *tasks.Client
	store    *cache.Store
	counters *Counters
	server   *testenv.RedisServer // nil where Redis is embedded, or a cluster
}

// eachSite runs a test on MariaDB with a real Redis, on SQLite with the embedded one, and with a cluster for the cache.
func eachSite(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	t.Parallel()
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		test(t, openReal(t))
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		e, err := embedded.Start(t.Context())
		require.NoError(t, err)
		t.Cleanup(e.Close)
		test(t, open(t, "sqlite://"+filepath.Join(t.TempDir(), "site.db"), e.URL(1), e.URL(2)))
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		test(t, open(t, "sqlite://"+filepath.Join(t.TempDir(), "site.db"), testenv.RedisURL(t), testenv.RedisCluster(t)))
	})
}

func openReal(t testing.TB) *site {
	t.Helper()
	r := testenv.Redis(t)
	s := open(t, testenv.MySQL(t), r.URL(1), r.URL(2))
	s.server = r
	return s
}

func open(t testing.TB, dbURL, brokerURL, cacheURL string) *site {
	t.Helper()
	s := &site{broker: taskstest.Broker(t, brokerURL)}
	var err error
	s.db, err = models.Open(t.Context(), dbURL, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(s.db)) })
	require.NoError(t, shop.Migrate(t.Context(), s.db))
	s.rdb = taskstest.Connect(t, cacheURL)
	s.client = tasks.NewClient(s.broker)
	ob, err := outbox.New(s.db, s.client, outbox.Options{Logger: testenv.Quiet()})
	require.NoError(t, err)
	require.NoError(t, s.db.Use(ob))
	taskstest.Run(t, ob.Run)
	s.store, s.counters = s.process(t)
	return s
}

// process is what another process has on the same servers.
func (s *site) process(t testing.TB) (*cache.Store, *Counters) {
	t.Helper()
	store, err := cache.NewStore(s.rdb, cache.StoreOptions{Announcer: refresh.Announcer{}, Timeout: time.Minute, Logger: testenv.Quiet()})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	return store, New(Options{
		DB: s.db, Store: store, Profiles: profiles.New(s.db, store), Tasks: s.client, Logger: testenv.Quiet(),
	})
}

// work runs the tasks until the test ends, or until stop.
func (s *site) work(t *testing.T) {
	t.Helper()
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: s.client, StoreAway: models.IsAway})
	refresh.Bind(mux, s.store)
	Bind(mux, s.counters)
	taskstest.Serve(t, s.broker, mux, "cache")
}

// users makes n users, and returns their ids.
func (s *site) users(t *testing.T, n int) []int64 {
	t.Helper()
	rows := make([]shop.User, n)
	for i := range rows {
		rows[i] = shop.User{Mobile: fmt.Sprintf("m%d-%d", time.Now().UnixNano()%1e8, i), Name: fmt.Sprintf("user %d", i)}
	}
	require.NoError(t, s.db.CreateInBatches(&rows, 1000).Error)
	ids := make([]int64, n)
	for i, r := range rows {
		ids[i] = r.ID
	}
	return ids
}

// publish commits articles of a user, as the program does.
func (s *site) publish(t *testing.T, user int64, n int) {
	t.Helper()
	for range n {
		require.NoError(t, s.store.Write(t.Context(), s.db, func(tx *gorm.DB) ([]cache.Change, error) {
			err := tx.Create(&shop.Article{UserID: user, Title: "t", Content: "c"}).Error
			return []cache.Change{Change(Articles, user, 1)}, err
		}))
	}
}

// follow commits that one user follows another, or does so no more.
func (s *site) follow(user, target int64, on bool) error {
	return s.store.Write(context.Background(), s.db, func(tx *gorm.DB) ([]cache.Change, error) {
		delta, done := int64(1), tx
		if on {
			done = tx.Create(&shop.Following{UserID: user, TargetID: target})
		} else {
			delta = -1
			done = tx.Where("user_id = ? AND target_id = ?", user, target).Delete(&shop.Following{})
		}
		if done.Error != nil || done.RowsAffected == 0 {
			return nil, done.Error
		}
		return []cache.Change{Change(Followings, user, delta), Change(Followers, target, delta)}, nil
	})
}

// requireTrue holds the sorted sets against the database.
func (s *site) requireTrue(t *testing.T) {
	t.Helper()
	for _, k := range Kinds() {
		want := map[string]float64{}
		var rows []struct{ User, N int64 }
		from := tables[k]
		require.NoError(t, s.db.Table(from.table).Select(from.column+" AS user, COUNT(*) AS n").
			Where(from.column+" IN (?)", s.db.Model(&shop.User{}).Select("id")).Group(from.column).Scan(&rows).Error)
		for _, r := range rows {
			want[fmt.Sprint(r.User)] = float64(r.N)
		}
		got := map[string]float64{}
		for _, z := range s.rdb.ZRangeWithScores(t.Context(), k.Key(), 0, -1).Val() {
			got[z.Member.(string)] = z.Score
		}
		require.Equal(t, want, got, k)
		require.Zero(t, s.rdb.HLen(t.Context(), debtsKey(k)).Val())
	}
}

// ended waits until no task of a write is left.
func (s *site) ended(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		var n int64
		require.NoError(t, s.db.Model(&models.OutboxRow{}).Count(&n).Error)
		return n == 0
	}, patience, 20*time.Millisecond)
}

// together runs f n times at the same time.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}
