package outbox_test

import (
	"context"
	"errors"
	"fmt"
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

type letter struct {
	To string `json:"to"`
}

var (
	post   = tasks.Define[letter, string]("test.post")
	answer = tasks.Define[letter, string]("test.answer", tasks.Queue("low"))
)

// inline is a queue that runs tasks inline, and a database that has its outbox. A letter to "friend" is answered, in the
// handler's own transaction.
func inline(t *testing.T, runs bool) (q *taskstest.Queue, db *gorm.DB, ran *[]string) {
	t.Helper()
	db, err := models.Open(t.Context(), "sqlite://:memory:", models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, shop.Migrate(t.Context(), db))
	ran = new([]string)
	var opt taskstest.Config
	if runs {
		opt.Bind = func(m *tasks.Mux, _ *tasks.Client) {
			tasks.Handle(m, post, func(ctx context.Context, l letter) (string, error) {
				*ran = append(*ran, "post "+l.To)
				if l.To != "friend" {
					return "posted", nil
				}
				return "posted", db.Transaction(func(tx *gorm.DB) error {
					_, err := answer.EnqueueTx(ctx, outbox.Tx(tx), l)
					*ran = append(*ran, "before the commit")
					return err
				})
			})
			tasks.Handle(m, answer, func(_ context.Context, l letter) (string, error) {
				*ran = append(*ran, "answer "+l.To)
				return "answered", nil
			})
		}
	}
	q = taskstest.New(t, opt)
	ob, err := outbox.New(db, q.Client, outbox.Options{Logger: testenv.Quiet()})
	require.NoError(t, err)
	require.NoError(t, db.Use(ob))
	return q, db, ran
}

func rows(t *testing.T, db *gorm.DB) (n int64) {
	t.Helper()
	require.NoError(t, db.Model(&models.OutboxRow{}).Count(&n).Error)
	return n
}

func TestInlineAfterTheCommit(t *testing.T) {
	t.Parallel()
	q, db, ran := inline(t, true)
	var res *tasks.Result[string]
	require.NoError(t, db.Transaction(func(tx *gorm.DB) (err error) {
		res, err = post.EnqueueTx(t.Context(), outbox.Tx(tx), letter{"li"})
		require.NoError(t, err)
		_, err = post.EnqueueTx(t.Context(), outbox.Tx(tx), letter{"friend"})
		require.NoError(t, err)
		_, err = post.EnqueueTx(t.Context(), outbox.Tx(tx), letter{"wang"})
		require.Empty(t, *ran, "not before the commit")
		return err
	}))
	require.Equal(t, []string{"post li", "post friend", "before the commit", "answer friend", "post wang"}, *ran)
	got, err := res.Peek(t.Context())
	require.NoError(t, err)
	require.Equal(t, "posted", got)
	taskstest.AssertEnqueued(t, q, post, letter{"li"}, letter{"friend"}, letter{"wang"})
	taskstest.AssertEnqueued(t, q, answer, letter{"friend"})
	require.Zero(t, rows(t, db))

	*ran = nil
	_, err = post.EnqueueTx(t.Context(), outbox.Tx(db), letter{"without a transaction"})
	require.NoError(t, err)
	_, err = post.Enqueue(t.Context(), q.Client, letter{"durable"}, tasks.Durable())
	require.NoError(t, err)
	require.Equal(t, []string{"post without a transaction", "post durable"}, *ran)
}

func TestInlineNeverAfterARollback(t *testing.T) {
	t.Parallel()
	q, db, ran := inline(t, true)
	failed := errors.New("failed")
	require.ErrorIs(t, db.Transaction(func(tx *gorm.DB) error {
		_, err := post.EnqueueTx(t.Context(), outbox.Tx(tx), letter{"li"})
		return errors.Join(err, failed)
	}), failed)
	require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
		require.ErrorIs(t, tx.Transaction(func(inner *gorm.DB) error {
			_, err := post.EnqueueTx(t.Context(), outbox.Tx(inner), letter{"li"})
			return errors.Join(err, failed)
		}), failed)
		_, err := post.EnqueueTx(t.Context(), outbox.Tx(tx), letter{"wang"})
		return err
	}))
	q.Advance(24 * time.Hour)
	require.Equal(t, []string{"post wang"}, *ran)
	taskstest.AssertEnqueued(t, q, post, letter{"wang"})
}

func TestInlineAtItsTime(t *testing.T) {
	t.Parallel()
	q, db, ran := inline(t, true)
	require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
		_, err := post.EnqueueTx(t.Context(), outbox.Tx(tx), letter{"li"}, tasks.Countdown(time.Hour))
		return err
	}))
	q.Advance(time.Hour - time.Second)
	require.Empty(t, *ran)
	require.EqualValues(t, 1, rows(t, db), "until the task has ended")
	q.Advance(time.Second)
	require.Equal(t, []string{"post li"}, *ran)
}

func TestInlineOnlyNoted(t *testing.T) {
	t.Parallel()
	q, db, _ := inline(t, false)
	for _, outcome := range []error{nil, errors.New("failed")} {
		require.Equal(t, outcome, db.Transaction(func(tx *gorm.DB) error {
			_, err := post.EnqueueTx(t.Context(), outbox.Tx(tx), letter{fmt.Sprint(outcome)})
			require.NoError(t, err)
			return outcome
		}))
	}
	taskstest.AssertEnqueued(t, q, post, letter{"<nil>"})
}
