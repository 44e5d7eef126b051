package sms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// What the person is told when the fault is ours; the log has the cause.
const reasonBusy = "系统繁忙，请稍后再试"

var errCodeGone = errors.New("验证码已失效或已被使用")

// Bind registers the handler of Send, which reads codes from cache, records in db and sends with s.
func Bind(m *tasks.Mux, db *gorm.DB, cache redis.UniversalClient, s Sender) {
	w := &worker{rows: messageRows{db: db, provider: s.Provider()}, cache: cache, sender: s}
	tasks.Handle(m, Send, func(ctx context.Context, args SendArgs) (string, error) {
		task := tasks.Current(ctx)
		return w.send(ctx, task.ID, args.Mobile, task.Logger())
	})
}

type worker struct {
	rows   messageRows
	cache  redis.UniversalClient
	sender Sender
}

// send is idempotent by the task's id as far as that is possible with a provider which does not know the id: a
// message whose serial number is recorded is never sent again. A second message, with the same code, goes out only
// when a worker dies, or is taken for dead, between handing the message over and recording the answer.
func (w *worker) send(ctx context.Context, taskID, mobile string, logger *slog.Logger) (string, error) {
	sent, err := w.rows.begin(ctx, taskID, mobile)
	if models.IsAway(err) && w.codeGone(ctx, mobile) {
		return "", tasks.Permanent(&SendError{Mobile: mobile, Err: errCodeGone})
	}
	if err != nil {
		return "", &SendError{Mobile: mobile, Why: reasonBusy, Err: err}
	}
	if sent {
		return succeeded(mobile), nil
	}
	receipt, err := w.deliver(ctx, taskID, mobile)
	// The outcome is recorded even when the worker is being stopped, since nothing else remembers it.
	if err := w.rows.finish(context.WithoutCancel(ctx), taskID, receipt, err); err != nil {
		logger.ErrorContext(ctx, "sms outcome not recorded", "serial_no", receipt.SerialNo, "fee", receipt.Fee, "error", err)
	}
	if err != nil {
		return "", err
	}
	return succeeded(mobile), nil
}

func succeeded(mobile string) string { return mobile + "的短信发送成功" }

// deliver reads the code as it is now and sends it. Its errors are *SendError.
func (w *worker) deliver(ctx context.Context, taskID, mobile string) (Receipt, error) {
	code, left, err := w.code(ctx, mobile)
	if err != nil {
		return Receipt{}, &SendError{Mobile: mobile, Why: reasonBusy, Err: err}
	}
	if code == "" {
		return Receipt{}, tasks.Permanent(&SendError{Mobile: mobile, Err: errCodeGone})
	}
	receipt, err := w.sender.Send(ctx, Message{TaskID: taskID, Mobile: mobile, Code: code, ValidFor: left})
	if err != nil {
		return Receipt{}, &SendError{Mobile: mobile, Why: reasonForPerson(err), Err: err}
	}
	return receipt, nil
}

// codeGone reports whether there is no code that would be worth to wait for. When the cache does not answer, there may be one.
func (w *worker) codeGone(ctx context.Context, mobile string) bool {
	code, _, err := w.code(ctx, mobile)
	return err == nil && code == ""
}

// reasonForPerson is what the person hears of a sender's error: the provider's reason if it gave one, and nothing of servers and
// connections.
func reasonForPerson(err error) string {
	var refusal interface{ Refusal() string }
	if errors.As(err, &refusal) {
		if why := refusal.Refusal(); why != "" {
			return why
		}
	}
	return reasonBusy
}

// code is the number's code and how long it is still good for; "" when there is none.
func (w *worker) code(ctx context.Context, mobile string) (string, time.Duration, error) {
	var value *redis.StringCmd
	var left *redis.DurationCmd
	_, err := w.cache.TxPipelined(ctx, func(p redis.Pipeliner) error {
		value, left = p.Get(ctx, codeKey(mobile)), p.PTTL(ctx, codeKey(mobile))
		return nil
	})
	if errors.Is(err, redis.Nil) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, models.MarkAway(fmt.Errorf("sms: reading the code: %w", err))
	}
	if left.Val() < 0 { // whoever wrote the code set no end to it
		return value.Val(), CodeTTL, nil
	}
	return value.Val(), left.Val(), nil
}
