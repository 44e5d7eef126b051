package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/shop"
)

// journal is the tasks of writes, in the database of the writes.
type journal struct{ db *gorm.DB }

func newJournal(t *testing.T, db *gorm.DB) journal {
	t.Helper()
	require.NoError(t, db.Exec("CREATE TABLE journal (task VARCHAR(64) PRIMARY KEY, changes TEXT)").Error)
	return journal{db}
}

func (journal) Announce(_ context.Context, tx *gorm.DB, changes []Change) (string, error) {
	body, err := json.Marshal(changes)
	task := uuid.NewString()
	return task, errors.Join(err, tx.Exec("INSERT INTO journal VALUES (?, ?)", task, string(body)).Error)
}

// run applies what is in the journal, sometimes twice, until nothing is left of it and ctx has ended.
func (j journal) run(ctx context.Context, stores []*Store) error {
	for {
		ended := ctx.Err() != nil
		var tasks []struct{ Task, Changes string }
		if err := j.db.Raw("SELECT task, changes FROM journal ORDER BY RAND() LIMIT 20").Scan(&tasks).Error; err != nil {
			return err
		}
		for _, t := range tasks {
			var changes []Change
			if err := json.Unmarshal([]byte(t.Changes), &changes); err != nil {
				return err
			}
			err := stores[rand.N(len(stores))].Apply(context.Background(), t.Task, changes)
			if err != nil || rand.N(10) == 0 { // or it is delivered again, as if this process had died just now
				continue
			}
			if err := j.db.Exec("DELETE FROM journal WHERE task = ?", t.Task).Error; err != nil {
				return err
			}
		}
		if ended && len(tasks) == 0 {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// mishaps make some scripts fail before they are sent, as the death of their process does, and some afterwards.
type mishaps struct{ over atomic.Bool }

var errMishap = errors.New("mishap")

func (m *mishaps) DialHook(next redis.DialHook) redis.DialHook { return next }

func (m *mishaps) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		chance := rand.N(50)
		if m.over.Load() || cmd.Name() != "evalsha" || chance > 4 {
			return next(ctx, cmd)
		}
		time.Sleep(rand.N(5 * time.Millisecond))
		if chance > 1 {
			_ = next(ctx, cmd)
		}
		cmd.SetErr(errMishap)
		return errMishap
	}
}

func (m *mishaps) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// caches are those of one process, of the same rows with different strategies.
type caches struct {
	store *Store
	all   []*Cache[int64, user]
}

const nearExpiry = 50 * time.Millisecond

// process starts one, whose loads take their time between their snapshot and their answer. None of its caches may serve
// what is stale, as they would while the lease of a script that failed is there.
func process(t *testing.T, db *gorm.DB, rdb redis.UniversalClient, j journal) caches {
	t.Helper()
	s := running(t, open(t, rdb, func(o *StoreOptions) { o.Announcer, o.Near, o.NearExpiry, o.Timeout = j, 100, nearExpiry, 0 }))
	p := caches{store: s}
	for _, strategy := range []Strategy{DeleteOnWrite, UpdateOnWrite, DeleteOnWrite | UpdateOnWrite | Periodic} {
		p.all = append(p.all, New(s, Config[int64, user]{
			Name:     fmt.Sprint("strategy-", uint8(strategy)),
			Key:      func(id int64) string { return fmt.Sprintf("user:%d:%d", id, uint8(strategy)) },
			Strategy: strategy,
			Load: func(ctx context.Context, ids []int64) (map[int64]user, error) {
				var found []shop.User
				err := db.WithContext(ctx).Find(&found, ids).Error
				all := make(map[int64]user)
				for _, u := range found {
					all[u.ID] = user{u.Name}
				}
				time.Sleep(rand.N(5 * time.Millisecond))
				return all, err
			},
		}))
	}
	return p
}

// write changes a row.
func (p caches) write(ctx context.Context, db *gorm.DB, id int64) error {
	return p.store.Write(ctx, db, func(tx *gorm.DB) ([]Change, error) {
		err := tx.Exec("UPDATE users SET name = name + 1 WHERE id = ?", id).Error
		var changes []Change
		for _, c := range p.all {
			changes = append(changes, c.Changes(id)...)
		}
		return changes, err
	})
}

// TestProcessesStayTrue has three processes read, write and refresh the same rows at once, over connections that break, on
// a Redis that loses its data, while scripts fail and tasks are delivered twice. At rest, what Redis holds is what the
// database holds, and so is what readers get.
func TestProcessesStayTrue(t *testing.T) {
	t.Parallel()
	const (
		users, processes = 200, 3
		duration         = 6 * time.Second
	)
	server := testenv.Redis(t)
	db := openDB(t, testenv.MySQL(t))
	for id := range int64(users) {
		require.NoError(t, db.Create(&shop.User{ID: id + 1, Mobile: strconv.FormatInt(id, 10), Name: "0"}).Error)
	}
	j, accidents := newJournal(t, db), &mishaps{}
	var all []caches
	var stores []*Store
	var proxies []*testenv.Proxy
	for range processes {
		proxy := testenv.NewProxy(t, server.Addr)
		rdb := connect(t, proxy.URL(0))
		rdb.AddHook(accidents)
		p := process(t, db, rdb, j)
		all, stores, proxies = append(all, p), append(stores, p.store), append(proxies, proxy)
	}

	begun := time.Now()
	writing, stopWriting := context.WithTimeout(t.Context(), duration)
	defer stopWriting()
	reading, stopReading := context.WithCancel(t.Context())
	defer stopReading()
	var writers, readers sync.WaitGroup
	var writes, reads atomic.Int64
	random := func(p caches) (*Cache[int64, user], int64) {
		return p.all[rand.N(len(p.all))], rand.N(int64(users)) + 1
	}
	for _, p := range all {
		for range 2 {
			readers.Go(func() {
				for reading.Err() == nil {
					c, id := random(p)
					if _, err := c.GetMany(context.Background(), []int64{id, id%users + 1}); err != nil {
						t.Error(err)
					}
					if _, err := c.Get(context.Background(), id); err != nil {
						t.Error(err)
					}
					reads.Add(2)
					time.Sleep(rand.N(2 * time.Millisecond))
				}
			})
		}
		writers.Go(func() {
			for writing.Err() == nil {
				c, id := random(p)
				if err := p.write(context.Background(), db, id); err != nil {
					t.Error(err)
				}
				writes.Add(1)
				if rand.N(3) == 0 {
					_, _ = c.Refresh(context.Background(), id)
				}
				time.Sleep(rand.N(10 * time.Millisecond))
			}
		})
	}
	writers.Go(func() {
		admin := connect(t, server.URL(0))
		for writing.Err() == nil {
			switch proxy := proxies[rand.N(processes)]; rand.N(5) {
			case 0:
				c, id := random(all[0])
				admin.Del(t.Context(), c.cfg.Key(id)) // it expires
			case 1:
				proxy.CutAfter(rand.N(2000))
			case 2:
				proxy.Cut()
			case 3:
				proxy.Stall(true)
				time.Sleep(rand.N(50 * time.Millisecond))
				proxy.Stall(false)
			case 4:
				if time.Since(begun) < duration/4 { // else what it could show is lost, too
					admin.FlushAll(t.Context())
				}
			}
			time.Sleep(rand.N(200 * time.Millisecond))
		}
	})
	working, stopWorking := context.WithCancel(t.Context())
	defer stopWorking()
	worked := make(chan error, 1)
	go func() { worked <- j.run(working, stores) }()

	writers.Wait()
	accidents.over.Store(true)
	stopWorking()
	require.NoError(t, <-worked)
	var rows []shop.User
	require.NoError(t, db.Find(&rows).Error)
	total, cached := 0, 0
	rdb := connect(t, server.URL(0))
	for range 5 { // readers go on, with what they began before
		for _, row := range rows {
			for _, c := range all[0].all {
				v, err := rdb.Get(t.Context(), c.cfg.Key(row.ID)).Result()
				if !errors.Is(err, redis.Nil) {
					cached++
					require.NoError(t, err)
					require.JSONEq(t, fmt.Sprintf(`{"name":%q}`, row.Name), v, c.cfg.Name)
				}
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	stopReading()
	readers.Wait()
	time.Sleep(2 * nearExpiry) // of those whose message was lost
	for _, row := range rows {
		n, err := strconv.Atoi(row.Name)
		require.NoError(t, err)
		total += n
		for _, p := range all {
			for _, c := range p.all {
				got, err := c.Get(t.Context(), row.ID)
				require.NoError(t, err)
				require.Equal(t, row.Name, got.Name)
			}
		}
	}
	require.EqualValues(t, writes.Load(), total)
	require.Greater(t, cached, users, "there was something to check")
	t.Logf("%d writes, %d reads, %d values checked", total, reads.Load(), cached)
}
