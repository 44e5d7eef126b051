package outbox_test

import (
	"crypto/md5"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestCommitThenPickup(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		ob.NudgedOnly()
		run(t, ob)
		ran := s.serve(t)
		res := s.enqueue(t, 21)
		got, err := res.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, 42, got)
		require.Equal(t, 1, ran.of(21))
		require.Equal(t, 1, s.banners(t))
		testenv.Eventually(t, func() bool { return len(s.rows(t)) == 0 }, "the row stays although the task has ended")
		got, err = res.Peek(t.Context())
		require.NoError(t, err, "the result is read without the row")
		require.Equal(t, 42, got)
	})
}

func TestRollbackLeavesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		run(t, ob)
		ran := s.serve(t)
		because := errors.New("because")
		var res *tasks.Result[int]
		err := s.db.Transaction(func(tx *gorm.DB) (err error) {
			require.NoError(t, tx.Create(&shop.Banner{Title: "beside"}).Error)
			res, err = double.EnqueueTx(t.Context(), outbox.Tx(tx), numberArgs{1})
			require.NoError(t, err)
			return because
		})
		require.ErrorIs(t, err, because)
		last := s.enqueue(t, 2)
		_, err = last.Get(testenv.Soon(t))
		require.NoError(t, err)
		_, err = res.State(t.Context())
		require.ErrorIs(t, err, tasks.ErrNotFound)
		require.Zero(t, ran.of(1))
		require.Equal(t, 1, s.banners(t))
	})
}

func TestEnqueueTxWithoutATransaction(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		ob.NudgedOnly()
		run(t, ob)
		s.serve(t)
		res, err := double.EnqueueTx(t.Context(), outbox.Tx(s.db), numberArgs{4})
		require.NoError(t, err)
		got, err := res.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, 8, got)
	})
}

func TestATransactionThatCannotTellOfItsCommitIsFoundLater(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		run(t, s.outbox(t))
		s.serve(t)
		var res *tasks.Result[int]
		require.NoError(t, s.db.Connection(func(conn *gorm.DB) error {
			return conn.Transaction(func(tx *gorm.DB) (err error) {
				res, err = double.EnqueueTx(t.Context(), outbox.Tx(tx), numberArgs{5})
				return err
			})
		}))
		got, err := res.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, 10, got)
	})
}

func TestATaskIsPendingFromItsCommitOn(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		eta := time.Now().Add(time.Hour).Truncate(time.Second)
		later := s.enqueue(t, 1, tasks.ETA(eta), tasks.MaxRetries(7),
			tasks.Header("k", "v"), tasks.Tags("a", "b"), tasks.Priority(tasks.High))
		before, err := s.client.Info(t.Context(), later.ID())
		require.NoError(t, err)
		require.Equal(t, tasks.StatePending, before.State)
		require.JSONEq(t, `{"n":1}`, string(before.Args))
		require.WithinDuration(t, eta, *before.NextRunAt, 0)
		_, err = later.Peek(t.Context())
		require.ErrorIs(t, err, tasks.ErrNotReady)

		require.NoError(t, ob.SendAll(t.Context()))
		after, err := s.client.Info(t.Context(), later.ID())
		require.NoError(t, err)
		require.Equal(t, before, after, "Redis tells the same")

		// Somebody waits already when the task is sent.
		waited := s.enqueue(t, 2)
		states := make(chan tasks.State, 100)
		go func() {
			defer close(states)
			for info, err := range s.client.Watch(testenv.Soon(t), waited.ID()) {
				if err != nil {
					t.Error(err)
					return
				}
				states <- info.State
			}
		}()
		require.Equal(t, tasks.StatePending, <-states)
		s.serve(t)
		run(t, ob)
		var last tasks.State
		for last = range states {
		}
		require.Equal(t, tasks.StateSuccess, last)
	})
}

func TestBadCallsAreRefusedBeforeTheDatabaseIsAsked(t *testing.T) {
	t.Parallel()
	s := openSite(t, "sqlite://:memory:", taskstest.Embedded(t))
	ctx := t.Context()
	_, err := double.EnqueueTx(ctx, outbox.Tx(s.db), numberArgs{})
	require.ErrorIs(t, err, tasks.ErrNoOutbox)
	require.ErrorContains(t, err, "db.Use")
	_, err = double.Enqueue(ctx, s.client, numberArgs{}, tasks.Durable())
	requireOption(t, err, "durable")

	s.outbox(t)
	require.NoError(t, s.db.Callback().Create().Before("gorm:create").Register("never", func(*gorm.DB) {
		t.Error("the database was asked")
	}))
	for field, opt := range map[string]tasks.Option{
		"countdown": tasks.Countdown(-time.Second),
		"queue":     tasks.Queue("no queue"),
		"id":        tasks.ID("nö"),
		"retention": tasks.Retention(100 * 366 * 24 * time.Hour),
		"debounce":  tasks.Debounce(time.Second),
		"expires":   tasks.Expires(time.Now().Add(-time.Second)),
	} {
		_, err := double.EnqueueTx(ctx, outbox.Tx(s.db), numberArgs{}, opt)
		requireOption(t, err, field)
		_, err = double.Enqueue(ctx, s.client, numberArgs{}, tasks.Durable(), opt)
		requireOption(t, err, field)
	}
	_, err = picky.EnqueueTx(ctx, outbox.Tx(s.db), pickyArgs{})
	var args *tasks.ArgsError
	require.ErrorAs(t, err, &args)
}

type pickyArgs struct{}

func (pickyArgs) Validate() error { return errors.New("never right") }

var picky = tasks.Define[pickyArgs, int]("outbox.picky")

func requireOption(t testing.TB, err error, field string) {
	t.Helper()
	var option *tasks.OptionError
	require.ErrorAs(t, err, &option)
	require.Equal(t, field, option.Field)
}

func TestAnOutboxBelongsToOneDatabase(t *testing.T) {
	t.Parallel()
	s := openSite(t, "sqlite://:memory:", taskstest.Embedded(t))
	other := openDB(t, "sqlite://:memory:")
	ob, err := outbox.New(s.db, s.client, outbox.Options{})
	require.NoError(t, err)
	require.Error(t, other.Use(ob))
	require.NoError(t, s.db.Use(ob))
	require.ErrorIs(t, s.db.Use(ob), gorm.ErrRegistered)
}

func TestTheSameIDTwice(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		first := s.enqueue(t, 1, tasks.ID("chosen"))
		require.NoError(t, s.db.Transaction(func(tx *gorm.DB) error {
			again, err := double.EnqueueTx(t.Context(), outbox.Tx(tx), numberArgs{2}, tasks.ID("chosen"))
			require.ErrorIs(t, err, tasks.ErrDuplicate)
			require.Equal(t, first.ID(), again.ID())
			return tx.Create(&shop.Banner{Title: "the transaction goes on"}).Error
		}))
		require.Equal(t, 2, s.banners(t))

		// An id that Redis has from elsewhere: that task is the one.
		_, err := double.Enqueue(t.Context(), s.client, numberArgs{3}, tasks.ID("elsewhere"))
		require.NoError(t, err)
		s.enqueue(t, 4, tasks.ID("elsewhere"))
		run(t, ob)
		ran := s.serve(t)
		testenv.Eventually(t, func() bool { return len(s.rows(t)) == 0 && ran.numbers() == 2 }, "rows stay")
		require.Equal(t, 1, ran.of(1))
		require.Equal(t, 1, ran.of(3))
	})
}

func TestUniqueTasksAreJudgedWhenTheyGetToRedis(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		first := s.enqueue(t, 1, tasks.UniqueFor(time.Hour))
		second := s.enqueue(t, 1, tasks.UniqueFor(time.Hour))
		require.NoError(t, ob.SendAll(t.Context()))
		_, err := first.State(t.Context())
		require.NoError(t, err)
		_, err = second.Get(testenv.Soon(t))
		require.ErrorIs(t, err, tasks.ErrNotFound)
		rows := s.rows(t)
		require.Len(t, rows, 1)
		require.Equal(t, first.ID(), rows[0].TaskID)
		require.NotNil(t, rows[0].SentAt)
	})
}

func TestKeysOfUniquenessTravelToo(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		ob.SweepAll()
		for name, opts := range map[string][]tasks.Option{
			"unique":   {tasks.UniqueUntilDone(), tasks.UniqueKey("k\"<&>")},
			"throttle": {tasks.Throttle(time.Hour), tasks.UniqueKey("other")},
		} {
			_, err := double.Enqueue(t.Context(), s.client, numberArgs{1}, opts...)
			require.NoError(t, err)
			late := s.enqueue(t, 2, opts...)
			require.NoError(t, ob.SendAll(t.Context()))
			_, err = late.State(t.Context())
			require.ErrorIs(t, err, tasks.ErrNotFound, name)
			require.Empty(t, s.rows(t), name)
		}
		// A throttled task that is sent twice is not in its own way.
		res := s.enqueue(t, 3, tasks.Throttle(time.Hour))
		require.NoError(t, ob.SendAll(t.Context()))
		require.NoError(t, s.db.Model(&models.OutboxRow{}).Where("1 = 1").Update("sent_at", nil).Error)
		require.NoError(t, ob.SendAll(t.Context()))
		require.Len(t, s.rows(t), 1)
		_, err := res.State(t.Context())
		require.NoError(t, err)
	})
}

func TestARowThatCannotBeSentBlocksNoOther(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		ob.SetBatch(3, 1<<20)
		bad := s.enqueue(t, 1)
		require.NoError(t, s.db.Model(&models.OutboxRow{}).Where("task_id = ?", bad.ID()).Update("body", "{nothing").Error)
		strange := s.enqueue(t, 2)
		require.NoError(t, s.db.Model(&models.OutboxRow{}).Where("task_id = ?", strange.ID()).
			Update("body", `{"id":"other","task":"t","queue":"q","args":{},"headers":[],"timeout":1,"retention":1}`).Error)
		taken := s.enqueue(t, 3)
		require.NoError(t, s.broker.Redis().Set(t.Context(), "asynq:{numbers}:t:"+taken.ID(), "no hash", 0).Err())
		locked := s.enqueue(t, 5, tasks.UniqueFor(time.Hour))
		unique := fmt.Sprintf("asynq:{numbers}:unique:outbox.double:%x", md5.Sum([]byte(`{"n":5}`)))
		require.NoError(t, s.broker.Redis().LPush(t.Context(), unique, "no string").Err())
		run(t, ob)
		ran := s.serve(t)
		good := s.enqueue(t, 4)
		_, err := good.Get(testenv.Soon(t))
		require.NoError(t, err)
		testenv.Eventually(t, func() bool { return len(s.rows(t)) == 4 }, "the good row stays")
		testenv.Eventually(t, func() bool { return s.rows(t)[2].FailedAt != nil }, "the sweeper gives nothing up")
		for i, reason := range []string{"read the task", "other", "WRONGTYPE", "WRONGTYPE"} {
			row := s.rows(t)[i]
			require.NotNil(t, row.FailedAt)
			require.Contains(t, row.Error, reason)
		}
		_, err = locked.Get(testenv.Soon(t))
		var failure *tasks.FailureError
		require.ErrorAs(t, err, &failure)
		require.Equal(t, 1, ran.numbers())

		// Once mended, it can be tried again.
		require.NoError(t, s.broker.Redis().Del(t.Context(), "asynq:{numbers}:t:"+taken.ID()).Err())
		info, err := s.client.Info(t.Context(), taken.ID())
		require.NoError(t, err)
		require.Equal(t, tasks.StateFailure, info.State)
		require.Contains(t, info.Error, "WRONGTYPE")
		require.NoError(t, s.db.Model(&models.OutboxRow{}).Where("task_id = ?", taken.ID()).Update("failed_at", nil).Error)
		testenv.Eventually(t, func() bool { return ran.of(3) == 1 }, "not tried again")
	})
}

func TestBatchesAreBoundedByBytes(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		ob.SetBatch(100, 1)
		for n := range 10 {
			s.enqueue(t, n)
		}
		batches := 0
		ob.OnStep(func(step int) {
			if step == outbox.StepTaken {
				batches++
			}
		})
		require.NoError(t, ob.SendAll(t.Context()))
		require.GreaterOrEqual(t, batches, 10)
		for _, r := range s.rows(t) {
			require.NotNil(t, r.SentAt)
		}
	})
}

func TestRemove(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		ctx := t.Context()
		waits, sent := s.enqueue(t, 1), ""
		removed, err := ob.Remove(ctx, waits.ID())
		require.NoError(t, err)
		require.True(t, removed)
		removed, err = ob.Remove(ctx, waits.ID())
		require.NoError(t, err)
		require.False(t, removed)
		_, err = waits.State(ctx)
		require.ErrorIs(t, err, tasks.ErrNotFound)

		sent = s.enqueue(t, 2).ID()
		require.NoError(t, ob.SendAll(ctx))
		removed, err = ob.Remove(ctx, sent)
		require.NoError(t, err)
		require.False(t, removed)
		require.Len(t, s.rows(t), 1)

		// In a transaction that is rolled back, it stays.
		kept := s.enqueue(t, 3).ID()
		require.Error(t, s.db.Transaction(func(tx *gorm.DB) error {
			removed, err := ob.RemoveTx(ctx, tx, kept)
			require.NoError(t, err)
			require.True(t, removed)
			return errors.New("no")
		}))
		require.Len(t, s.rows(t), 2)
	})
}

func TestRevokedTasksDoNotComeBack(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		ob.SweepAll()
		ctx := t.Context()
		waits := s.enqueue(t, 1)
		state, err := waits.Revoke(ctx)
		require.NoError(t, err)
		require.Equal(t, tasks.StateRevoked, state)
		require.Empty(t, s.rows(t))
		_, err = waits.Revoke(ctx)
		require.ErrorIs(t, err, tasks.ErrNotFound)

		sent, tagged, failed := s.enqueue(t, 2), s.enqueue(t, 3, tasks.Tags("some")), s.enqueue(t, -1)
		require.NoError(t, ob.SendAll(ctx))
		state, err = sent.Revoke(ctx)
		require.NoError(t, err)
		require.Equal(t, tasks.StateRevoked, state)
		got, err := s.client.RevokeTag(ctx, "some")
		require.NoError(t, err)
		require.Equal(t, 1, got.Revoked)
		ran := s.serve(t)
		_, err = failed.Get(testenv.Soon(t))
		require.Error(t, err)
		require.NoError(t, failed.Forget(ctx))
		require.NoError(t, ob.Clean(ctx))
		require.Empty(t, s.rows(t))
		require.NoError(t, s.broker.Redis().FlushAll(ctx).Err())
		require.NoError(t, ob.Sweep(ctx))
		_, err = sent.State(ctx)
		require.ErrorIs(t, err, tasks.ErrNotFound)
		_, err = tagged.State(ctx)
		require.ErrorIs(t, err, tasks.ErrNotFound)
		require.Equal(t, 1, ran.numbers())
	})
}

func TestWorkersTellOfTheEnd(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		s.enqueue(t, 1, tasks.Retention(0))
		s.enqueue(t, -1)
		s.enqueue(t, 2, tasks.ExpiresIn(time.Nanosecond))
		lasts := s.enqueue(t, 3, tasks.Countdown(time.Hour))
		require.NoError(t, ob.SendAll(t.Context()))
		s.serve(t)
		testenv.Eventually(t, func() bool {
			require.NoError(t, ob.Clean(t.Context()))
			return len(s.rows(t)) == 1
		}, "rows of tasks that succeeded, failed or expired stay")
		require.Equal(t, lasts.ID(), s.rows(t)[0].TaskID)
	})
}

func TestDurable(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		ctx := t.Context()
		res, err := double.Enqueue(ctx, s.client, numberArgs{1}, tasks.Durable())
		require.NoError(t, err)
		again, err := double.Enqueue(ctx, s.client, numberArgs{1}, tasks.Durable(), tasks.ID(res.ID()))
		require.ErrorIs(t, err, tasks.ErrDuplicate)
		require.Equal(t, res.ID(), again.ID())
		got := tasks.EnqueueMany(ctx, s.client, []tasks.Signature{
			double.Signature(numberArgs{2}, tasks.Durable()),
			double.Signature(numberArgs{3}),
			double.Signature(numberArgs{4}, tasks.Durable(), tasks.ID(res.ID())),
			double.Signature(numberArgs{5}, tasks.Durable(), tasks.Countdown(-1)),
			double.Signature(numberArgs{6}, tasks.Durable()),
		})
		require.NoError(t, got[0].Err)
		require.NoError(t, got[1].Err)
		require.ErrorIs(t, got[2].Err, tasks.ErrDuplicate)
		require.Equal(t, res.ID(), got[2].ID)
		requireOption(t, got[3].Err, "countdown")
		require.NoError(t, got[4].Err)
		var kept []string
		for _, r := range s.rows(t) {
			kept = append(kept, r.TaskID)
		}
		require.ElementsMatch(t, []string{res.ID(), got[0].ID, got[4].ID}, kept)
		run(t, ob)
		ran := s.serve(t)
		testenv.Eventually(t, func() bool { return ran.numbers() == 4 }, "not all ran")
	})
}

func TestEndedTasksLoseTheirRows(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		ob.SetBatch(10, 1<<20)
		var ids []string
		for n := range 25 {
			ids = append(ids, s.enqueue(t, n).ID())
		}
		stays := s.enqueue(t, 100).ID()
		// Another's row, uncommitted, is in nobody's way.
		tx := s.db.Begin()
		if s.db.Name() != "sqlite" { // where it would lock the whole database
			_, err := double.EnqueueTx(t.Context(), outbox.Tx(tx), numberArgs{101})
			require.NoError(t, err)
		}
		for _, id := range append(ids, "unknown", ids[0]) {
			ob.Ended(id)
		}
		if s.db.Name() == "sqlite" {
			require.NoError(t, tx.Rollback().Error)
		}
		require.NoError(t, ob.Clean(testenv.Soon(t)))
		rows := s.rows(t)
		require.Len(t, rows, 1)
		require.Equal(t, stays, rows[0].TaskID)
		if s.db.Name() != "sqlite" {
			require.NoError(t, tx.Commit().Error)
		}
		// What was noted is deleted when the outbox stops, too.
		stop := run(t, ob)
		ob.Ended(stays)
		stop()
		for _, r := range s.rows(t) {
			require.NotEqual(t, stays, r.TaskID)
		}
	})
}

func TestLongReasonsFit(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		bad := s.enqueue(t, 1)
		require.NoError(t, s.db.Model(&models.OutboxRow{}).Where("task_id = ?", bad.ID()).
			Update("body", `{"id":"`+strings.Repeat("号", 300)+`"}`).Error)
		require.NoError(t, ob.SendAll(t.Context()))
		require.NotNil(t, s.rows(t)[0].FailedAt)
	})
}
