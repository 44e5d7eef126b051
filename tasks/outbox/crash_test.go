package outbox_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestRowsWaitWhileRedisIsDown(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func() string{
		"mariadb": func() string { return testenv.MySQL(t) },
		"sqlite":  func() string { return "sqlite://" + filepath.Join(t.TempDir(), "shop.db") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testenv.Redis(t)
			s := openSite(t, url(), taskstest.Broker(t, server.URL(0)))
			run(t, s.outbox(t))
			ran := s.serve(t)
			_, err := s.enqueue(t, 0).Get(testenv.Soon(t))
			require.NoError(t, err)
			testenv.Eventually(t, func() bool { return len(s.rows(t)) == 0 }, "the row stays") // this Redis forgets all when it stops

			server.Stop()
			const n = 20
			var last *tasks.Result[int]
			for i := 1; i <= n; i++ {
				last = s.enqueue(t, i)
			}
			durable, err := double.Enqueue(t.Context(), s.client, numberArgs{n + 1}, tasks.Durable())
			require.NoError(t, err)
			for _, r := range s.rows(t) {
				require.Nil(t, r.FailedAt)
			}
			// While the relay waits for Redis, no transaction of its own is in anybody's way.
			require.NoError(t, s.db.WithContext(testenv.Soon(t)).Model(&models.OutboxRow{}).
				Where("task_id = ?", last.ID()).Update("task", double.Name()).Error)

			server.Start()
			testenv.Eventually(t, func() bool { return ran.numbers() == n+2 }, "not all ran")
			_, err = durable.Get(testenv.Soon(t))
			require.NoError(t, err)
			for i := range n + 2 {
				require.Equal(t, 1, ran.of(i), i)
			}
		})
	}
}

// TestTheRelayOutlivesTheDatabasesConnections cuts those of the relay and of the caller, again and again.
func TestTheRelayOutlivesTheDatabasesConnections(t *testing.T) {
	t.Parallel()
	direct, err := url.Parse(testenv.MySQL(t))
	require.NoError(t, err)
	proxy := testenv.NewProxy(t, direct.Host)
	through := *direct
	through.Host = proxy.Addr
	s := openSite(t, direct.String(), taskstest.Broker(t, testenv.RedisURL(t)))
	relaying := openSite(t, through.String(), s.broker)
	_ = s.outbox(t) // for EnqueueTx alone
	run(t, relaying.outbox(t))
	ran := s.serve(t)
	const n = 60
	for i := range n {
		s.enqueue(t, i)
		if i%3 == 0 {
			proxy.Cut()
		}
	}
	testenv.Eventually(t, func() bool { return ran.numbers() == n }, "not all ran")
	testenv.Eventually(t, func() bool { return len(s.rows(t)) == 0 }, "rows stay")
	for i := range n {
		require.Equal(t, 1, ran.of(i), i)
	}
}

func TestTasksSurviveTheLossOfRedis(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		const n = 40
		var all []*tasks.Result[int]
		for i := range n {
			opts := []tasks.Option{tasks.Retention(0)}
			if i%2 == 0 {
				opts = append(opts, tasks.Countdown(2*time.Second))
			}
			all = append(all, s.enqueue(t, i, opts...))
		}
		require.NoError(t, ob.SendAll(t.Context()))
		watched := make(chan error, 1)
		go func() {
			_, err := all[1].Get(testenv.Soon(t))
			watched <- err
		}()
		require.NoError(t, s.broker.Redis().FlushAll(t.Context()).Err())
		run(t, ob)
		ran := s.serve(t)
		testenv.Eventually(t, func() bool { return ran.numbers() == n }, "tasks are lost")
		require.NoError(t, <-watched, "who waited meanwhile learns of the end")
		testenv.Eventually(t, func() bool { return len(s.rows(t)) == 0 }, "rows stay")
		for i := range n {
			require.Equal(t, 1, ran.of(i), i)
		}
	})
}

func TestATaskThatEndedIsNotSentAgain(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		res := s.enqueue(t, 1, tasks.Retention(0))
		require.NoError(t, ob.SendAll(t.Context()))
		ran := s.serve(t)
		testenv.Eventually(t, func() bool { return ran.of(1) == 1 }, "does not run")
		_, err := res.Get(testenv.Soon(t))
		require.NoError(t, err, "it is known although nothing was to be kept")
		// Its worker died before the row was deleted.
		ob.SweepAll()
		require.NoError(t, ob.Sweep(t.Context()))
		require.Empty(t, s.rows(t))
		require.Equal(t, 1, ran.of(1))
	})
}

func TestARepeatableTaskLeavesNoTraceAndIsSentAgain(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		id := s.enqueue(t, 1, tasks.Retention(0), tasks.Repeatable()).ID()
		require.NoError(t, ob.SendAll(t.Context()))
		ran := s.serve(t)
		forgotten := func() bool {
			found, err := s.broker.Find(t.Context(), "", id)
			return err == nil && found == nil
		}
		testenv.Eventually(t, func() bool { return ran.of(1) == 1 && forgotten() }, "Redis keeps it")
		// Its worker died before the row was deleted.
		ob.SweepAll()
		require.NoError(t, ob.Sweep(t.Context()))
		testenv.Eventually(t, func() bool { return ran.of(1) == 2 && forgotten() }, "it is not sent again")
		require.Len(t, s.rows(t), 1)
		require.NoError(t, ob.Clean(t.Context()))
		require.Empty(t, s.rows(t))
	})
}

// TestRelaysAreInNobodysWay has three relays send while transactions that insert rows stay open for long.
func TestRelaysAreInNobodysWay(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	url := testenv.MySQL(t)
	var sites []site
	for range 3 {
		s := openSite(t, url, b)
		s.client = tasks.NewClient(b)
		ob := s.outbox(t)
		ob.SetBatch(7, 1<<20)
		run(t, ob)
		sites = append(sites, s)
	}
	s := sites[0]
	ran := s.serve(t)
	open := s.db.Begin()
	require.NoError(t, open.Error)
	_, err := double.EnqueueTx(t.Context(), outbox.Tx(open), numberArgs{1000})
	require.NoError(t, err)

	const writers, each = 6, 50
	done := make(chan error, writers)
	for w := range writers {
		go func() {
			db := sites[w%len(sites)].db
			for i := range each {
				err := db.Transaction(func(tx *gorm.DB) error {
					if err := tx.Exec("SET SESSION innodb_lock_wait_timeout = 2").Error; err != nil {
						return err
					}
					if _, err := double.EnqueueTx(context.Background(), outbox.Tx(tx), numberArgs{w*each + i}); err != nil {
						return err
					}
					return tx.Create(&shop.Banner{Title: "beside"}).Error
				})
				if err != nil {
					done <- fmt.Errorf("writer %d, row %d: %w", w, i, err)
					return
				}
			}
			done <- nil
		}()
	}
	for range writers {
		require.NoError(t, <-done)
	}
	testenv.Eventually(t, func() bool { return ran.numbers() == writers*each }, "not all ran")
	require.NoError(t, open.Commit().Error)
	testenv.Eventually(t, func() bool { return ran.numbers() == writers*each+1 }, "the long transaction's task does not run")
	for i := range writers * each {
		require.Equal(t, 1, ran.of(i), i)
	}
	testenv.Eventually(t, func() bool { return len(s.rows(t)) == 0 }, "rows stay")
}

// The environment of the process that TestAnotherProcessSendsWhatADeadOneCommitted kills.
const (
	childDB    = "OUTBOX_TEST_DATABASE"
	childRedis = "OUTBOX_TEST_REDIS"
	childStep  = "OUTBOX_TEST_STEP"
)

// TestDyingChild is that process: it commits a task and dies by SIGKILL, at once or at a step of its relay.
func TestDyingChild(t *testing.T) {
	url := os.Getenv(childDB)
	if url == "" {
		t.Skip("for another test")
	}
	s := openSite(t, url, taskstest.Broker(t, os.Getenv(childRedis)))
	ob := s.outbox(t)
	die := func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} }
	at := os.Getenv(childStep)
	ob.OnStep(func(step int) {
		if fmt.Sprint(step) == at {
			die()
		}
	})
	s.enqueue(t, 7)
	if at == "none" {
		die()
	}
	run(t, ob)
	<-time.After(patience)
	t.Error("still alive")
}

func TestAnotherProcessSendsWhatADeadOneCommitted(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]string{
		"before the relay": "none",
		"rows are locked":  fmt.Sprint(outbox.StepTaken),
		"Redis has it":     fmt.Sprint(outbox.StepSent),
		"rows say so":      fmt.Sprint(outbox.StepSettled),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, db := range []string{testenv.MySQL(t), "sqlite://" + filepath.Join(t.TempDir(), "shop.db")} {
				url := testenv.RedisURL(t)
				s := openSite(t, db, taskstest.Broker(t, url)) // migrates
				child := exec.Command(os.Args[0], "-test.run=^TestDyingChild$")
				child.Env = append(os.Environ(), childDB+"="+db, childRedis+"="+url, childStep+"="+step)
				out, err := child.CombinedOutput()
				require.Error(t, err)
				status, ok := child.ProcessState.Sys().(syscall.WaitStatus)
				require.True(t, ok && status.Signaled() && status.Signal() == syscall.SIGKILL, "%v: %s", err, out)
				require.Len(t, s.rows(t), 1)

				run(t, s.outbox(t))
				ran := s.serve(t)
				testenv.Eventually(t, func() bool { return len(s.rows(t)) == 0 }, "the row stays")
				require.Equal(t, 1, ran.of(7))
			}
		})
	}
}

// crash is what a process dies of in the property test.
type crash struct{}

// TestNothingIsLostAndNothingComesTwice lets relays die at any step, Redis lose everything and rows be deleted late, in
// any order. In the end every task that was committed is in Redis, once.
func TestNothingIsLostAndNothingComesTwice(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	for _, where := range []struct {
		name, url string
		checks    int
	}{
		{"mariadb", testenv.MySQL(t), 10}, // which syncs to disk at each commit
		{"sqlite", "sqlite://:memory:", 1000},
	} {
		s := openSite(t, where.url, b)
		ob := s.outbox(t)
		ob.SweepAll()
		checks := 0
		t.Run(where.name, func(t *testing.T) { // one after the other: they share a Redis
			rapid.Check(t, func(rt *rapid.T) {
				if checks++; checks <= where.checks {
					relayProperty(rt, s, ob)
				}
			})
		})
	}
}

func relayProperty(t *rapid.T, s site, ob *outbox.Outbox) {
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.broker.Redis().FlushAll(ctx).Err())
	must(s.db.Where("1 = 1").Delete(&models.OutboxRow{}).Error)
	ob.SetBatch(rapid.IntRange(1, 4).Draw(t, "batch"), 1<<20)
	committed := map[string]bool{} // id: has ended
	die := -1
	ob.OnStep(func(step int) {
		if step == die {
			panic(crash{})
		}
	})
	dying := func(f func(context.Context) error) {
		defer func() {
			if r := recover(); r != nil && r != (crash{}) {
				panic(r)
			}
			die = -1
		}()
		must(f(ctx))
	}
	pending := func() []string {
		ids, err := s.broker.Redis().LRange(ctx, "asynq:{numbers}:pending", 0, -1).Result()
		must(err)
		return ids
	}
	t.Repeat(map[string]func(*rapid.T){
		"commit": func(t *rapid.T) {
			must(s.db.Transaction(func(tx *gorm.DB) error {
				for range rapid.IntRange(1, 3).Draw(t, "tasks") {
					res, err := double.EnqueueTx(ctx, outbox.Tx(tx), numberArgs{1}, tasks.Retention(0))
					if err != nil {
						return err
					}
					committed[res.ID()] = false
				}
				return nil
			}))
		},
		"send": func(t *rapid.T) {
			die = rapid.IntRange(-1, outbox.StepSettled).Draw(t, "dies at")
			dying(ob.SendAll)
		},
		"sweep": func(*rapid.T) { dying(ob.Sweep) },
		"lose":  func(*rapid.T) { must(s.broker.Redis().FlushAll(ctx).Err()) },
		"end": func(t *rapid.T) { // a worker runs a task, and may die before its row is deleted
			ids := pending()
			if len(ids) == 0 {
				t.Skip("nothing runs")
			}
			id := rapid.SampledFrom(ids).Draw(t, "id")
			must(s.broker.Redis().LRem(ctx, "asynq:{numbers}:pending", 1, id).Err())
			must(s.broker.Redis().HSet(ctx, "asynq:{numbers}:t:"+id, "state", "completed").Err())
			committed[id] = true
			if rapid.Bool().Draw(t, "row deleted") {
				ob.Ended(id)
				must(ob.Clean(ctx))
			}
		},
		"": func(t *rapid.T) { // each id at most once
			seen := map[string]bool{}
			for _, id := range pending() {
				if _, known := committed[id]; !known || seen[id] {
					t.Fatalf("task %s is there twice, or never was", id)
				}
				seen[id] = true
			}
		},
	})
	must(ob.SendAll(ctx))
	must(ob.Sweep(ctx))
	there := map[string]bool{}
	for _, id := range pending() {
		there[id] = true
	}
	for id, ended := range committed {
		if !ended && !there[id] {
			t.Fatalf("task %s is lost", id)
		}
	}
}

func TestTheOutboxStopsBetweenBatches(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		ob.SetBatch(1, 1<<20)
		for i := range 5 {
			s.enqueue(t, i)
		}
		ctx, cancel := context.WithCancel(t.Context())
		steps := 0
		ob.OnStep(func(step int) {
			steps++
			cancel()
		})
		require.NoError(t, ob.SendAll(ctx))
		require.Equal(t, 3, steps, "the batch that was begun is finished, and no other begun")
		sent := 0
		for _, r := range s.rows(t) {
			if r.SentAt != nil {
				sent++
			}
		}
		require.Equal(t, 1, sent)
	})
}

// TestADurableCallbackWaitsForTheDatabase has a task end while the database, where its callback is to be kept, is away.
func TestADurableCallbackWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	for name, out := range map[string]func(p *testenv.Proxy, out bool){
		"gone":   (*testenv.Proxy).Away,
		"silent": (*testenv.Proxy).Stall, // the attempt's time ends while it asks, and the error is that of its context
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct, err := url.Parse(testenv.MySQL(t))
			require.NoError(t, err)
			proxy := testenv.NewProxy(t, direct.Host)
			through := *direct
			through.Host = proxy.Addr
			s := openSite(t, through.String(), taskstest.Broker(t, testenv.RedisURL(t)))
			run(t, s.outbox(t))
			parent := tasks.Define[numberArgs, int]("outbox.parent", tasks.Queue("numbers"))
			mux := tasks.NewMux(tasks.MuxOptions{Client: s.client, Logger: testenv.Quiet(), StoreAway: models.IsAway})
			tasks.Handle(mux, double, func(_ context.Context, a numberArgs) (int, error) { return 2 * a.N, nil })
			tasks.Handle(mux, parent, func(context.Context, numberArgs) (int, error) { return 1, nil })
			out(proxy, true)
			taskstest.Serve(t, s.broker, mux, "numbers")
			// A machine that stands still takes an attempt's time before the handler runs: then another attempt waits.
			res, err := parent.Enqueue(t.Context(), s.client, numberArgs{}, tasks.Timeout(800*time.Millisecond),
				tasks.HardTimeout(900*time.Millisecond), tasks.MaxRetries(100), tasks.Backoff(100*time.Millisecond, time.Second),
				tasks.OnSuccess(double.Signature(numberArgs{N: 4}, tasks.ID("callback"), tasks.Durable())))
			require.NoError(t, err)
			testenv.Eventually(t, func() bool {
				info, err := s.client.Info(t.Context(), res.ID())
				require.NoError(t, err)
				return slices.ContainsFunc(info.Attempts, func(a tasks.Attempt) bool { return a.Outcome == "interrupted" })
			}, "the attempt does not wait for the database")
			out(proxy, false)
			_, err = res.Get(testenv.Soon(t))
			require.NoError(t, err)
			value, err := double.Result(s.client, "callback").Get(testenv.Soon(t))
			require.NoError(t, err)
			require.Equal(t, 8, value)
		})
	}
}

// TestARowStaysUntilTheHistoryHasTheEnd has Redis lose a task that has ended while its end is not in the history yet: the
// task runs again, rather than being LOST.
func TestARowStaysUntilTheHistoryHasTheEnd(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		var written atomic.Int64 // Unix ns
		ob := s.outboxWith(t, outbox.Options{Logger: testenv.Quiet(), Written: func() time.Time { return time.Unix(0, written.Load()) }})
		ob.KeepRows()
		run(t, ob)
		ran := s.serve(t)
		_, err := s.enqueue(t, 1, tasks.Retention(time.Hour)).Get(testenv.Soon(t))
		require.NoError(t, err)
		rows := s.rows(t)
		require.Len(t, rows, 1)
		testenv.Eventually(t, func() bool { return s.rows(t)[0].SentAt != nil }, "it was not sent")
		require.NoError(t, s.broker.Redis().FlushAll(t.Context()).Err())
		// The sweep finds it lost a minute later, and has it sent again; this has it so at once.
		require.NoError(t, s.db.Model(&models.OutboxRow{}).Where("task_id = ?", rows[0].TaskID).Update("sent_at", nil).Error)
		testenv.Eventually(t, func() bool { return ran.of(1) > 1 }, "it does not run again")
		written.Store(time.Now().Add(time.Hour).UnixNano())
		testenv.Eventually(t, func() bool { return len(s.rows(t)) == 0 }, "the row stays")
	})
}
